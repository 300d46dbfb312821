import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Sandbox } from "../testing/wkfs.ts";
import { failureText } from "./failure.ts";
import { printable } from "./printable.ts";

describe("text of others, as it goes to a terminal", () => {
  it.each([
    ["\u001B]0;owned\u0007\u001B[2J", String.raw`\x1b]0;owned\x07\x1b[2J`],
    ["one\r\ntwo\tthree\u007F", "one\\x0d\ntwo\tthree\\x7f"],
    // The sequence's beginning in one character, and what turns the rest around.
    ["\u009B31m\u202Etxt.exe", String.raw`\x9b31m\u{202e}txt.exe`],
    ["Grüße, 地 \u{1F511}", "Grüße, 地 \u{1F511}"],
  ])("%j", (text, shown) => expect(printable(text)).toBe(shown));

  it("has nothing left that does something, whatever it was", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(printable(text)).not.toMatch(/[^\P{C}\n\t\p{Cn}\p{Co}\p{Cs}]/u);
        expect(failureText({ message: text, hint: text })).not.toMatch(/[^\P{C}\n\t\p{Cn}\p{Co}\p{Cs}]/u);
      }),
    );
  });

  it("is what commands print, as an error and as an answer", async () => {
    await using host = await Sandbox.create();
    const wrong = await host.wkfs("config", "check", "--config", "\u001B[2Jx.yaml");
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining(String.raw`\x1b[2Jx.yaml`) });
    const shown = await host.wkfs("install", "server", "--tcp", "22", "--dry-run", "--dir", "\u001B[2Jfolder");
    for (const { stdout, stderr } of [wrong, shown]) expect(stdout + stderr).not.toContain("\u001B");
    expect(shown.stdout).toContain(String.raw`\x1b[2Jfolder`);
  });
});
