import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { describe, expect, it } from "vitest";
import { Story, expectThat } from "./story.ts";

function told(signal = new AbortController().signal, parts: object = {}) {
  const out = Object.assign(new PassThrough(), parts);
  return { story: new Story(signal, out as unknown as NodeJS.WriteStream), out };
}

describe("the story", () => {
  it("ends with an error that names the step when something is not as told", async () => {
    const { story } = told();
    story.scene("IPv6", "client and server");
    await story.step("first", async () => {});
    const second = story.step("the port is shut", async () => expectThat(false, "it is open"));
    await expect(second).rejects.toMatchObject({
      code: "FIREWALL_FAILED",
      message: "IPv6, step 2 (the port is shut): it is open",
    });
  });

  it("does not wait longer than its limit, nor after an interruption", async () => {
    await expect(told().story.wait("rain", 0, 50, async () => false)).rejects.toThrow("rain");
    const controller = new AbortController();
    const waiting = told(controller.signal).story.wait("rain", 0, 60_000, async () => false);
    controller.abort("SIGINT");
    await expect(waiting).rejects.toMatchObject({ name: "AbortError" });
    await expect(told(controller.signal).story.step("no more", async () => {})).rejects.toBe("SIGINT");
  });

  it("writes plain lines where there is no terminal", async () => {
    const { story, out } = told();
    story.scene("IPv4", "client and server");
    story.saw("shut", "no answer");
    await story.wait("rain", 0, 1000, async () => true);
    out.end();
    expect(await text(out)).toBe("\nIPv4  client and server\n    [shut] no answer\n    waiting for rain …\n");
  });
});
