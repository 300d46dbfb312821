import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { alone } from "./alone.ts";

let dir: string;
beforeEach(async () => void (dir = await mkdtemp(join(tmpdir(), "wkfs-alone-"))));
afterEach(async () => await rm(dir, { recursive: true }));

const nothing = async () => "done";

describe("what changes a data directory", () => {
  it("is refused while another does, and done after it, also when that one failed", async () => {
    const other = Promise.withResolvers<never>();
    const held = alone(dir, () => other.promise);
    const second = await alone(dir, nothing).catch((error: unknown) => error);
    other.reject(new Error("npm failed"));
    await expect(held).rejects.toThrow("npm failed");
    expect(second).toMatchObject({ code: "STATE_INVALID", hint: expect.any(String) });
    expect(await alone(dir, nothing)).toBe("done");
  });

  it("is refused while another process does, and done when that one was killed", async () => {
    const program = `
      const { alone } = await import(${JSON.stringify(new URL("alone.ts", import.meta.url).href)});
      setInterval(() => {}, 1 << 30);
      await alone(process.argv[1], () => (console.log("has it"), new Promise(() => {})));`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", program, dir], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    onTestFinished(() => void child.kill("SIGKILL"));
    await once(child.stdout, "data");
    await expect(alone(dir, nothing)).rejects.toMatchObject({ code: "STATE_INVALID" });
    child.kill("SIGKILL");
    await once(child, "exit");
    expect(await alone(dir, nothing)).toBe("done");
    expect(await readdir(dir)).toEqual([".lock"]);
  });

  it("makes no directory, and says when it may not write in one", async () => {
    expect(await alone(join(dir, "none"), nothing)).toBe("done");
    expect(await readdir(dir)).toEqual([]);
    await expect(alone("/proc", nothing)).rejects.toMatchObject({ code: "HOST_UNSUPPORTED" });
  });
});
