import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";

/** Runs lines of code with a log, and gives what came out on standard error, parsed. */
function logged(code: string): Record<string, unknown>[] {
  const log = new URL("./log.ts", import.meta.url).href;
  const program = `import { createLogger } from ${JSON.stringify(log)}; const log = createLogger({ name: "x" }); ${code}`;
  const { stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8" });
  return stderr
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe("the log of a process", () => {
  it("shows no value under the name of a secret, in the data or one level deeper", () => {
    const [line] = logged(
      'log.info({ secret: "a", user: { pass: "b", name: "c" }, list: ["d"], keys: { key1: "e" } }, "hello");',
    );
    expect(line).toMatchObject({
      secret: "[secret]",
      user: { pass: "[secret]", name: "c" },
      list: ["d"],
      keys: "[secret]",
      msg: "hello",
      level: "info",
      name: "x",
    });
  });

  it("leaves the data of the caller as they were", () => {
    expect(
      logged('const data = { secret: "a" }; log.info(data, ""); log.info({ length: data.secret.length }, "");')[1],
    ).toMatchObject({
      length: 1,
    });
  });

  it.each([
    ["process.exit(3)", "ends in the same turn"],
    ["throw new Error('x')", "ends in an error that nobody caught"],
  ])("is written to the last line when the process has %s: it %s", (end) => {
    const lines = logged(
      `for (let n = 0; n < 1000; n += 1) log.warn({ n }, "line"); process.stderr.write = () => true; process.on("uncaughtException", () => process.exit(1)); ${end}`,
    );
    expect(lines).toHaveLength(1000);
    expect(lines.at(-1)).toMatchObject({ n: 999 });
  });
});
