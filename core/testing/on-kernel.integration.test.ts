import assert from "node:assert/strict";
import { describe, expect, it, vi } from "vitest";
import { execute } from "./namespace.ts";
import { onKernel } from "./on-kernel.ts";

const { test } = onKernel({ describe, it }, "ip");

test("a test has a host of its own, and the next one another", async (host) => {
  await host.run("ip", "link", "add", "mine", "type", "veth", "peer", "name", "yours");
  assert.match(await host.run("ip", "link", "show", "mine"), /mine/);
  assert.notEqual((await execute(["ip", "link", "show", "mine"])).code, 0);
});

/** A runner that notes what is registered with it. */
function noting() {
  const noted: string[] = [];
  const note = (kind: string) =>
    Object.assign((name: string) => void noted.push(`${kind} ${name}`), {
      skip: (name: string) => void noted.push(`${kind}.skip ${name}`),
    });
  return { noted, describe: note("describe"), it: note("it") };
}

describe("tests on a kernel that there is not", () => {
  it("are skipped with the reason in the title and on stderr", () => {
    vi.stubEnv("WKFS_REQUIRE_KERNEL", "");
    const stderr = vi.spyOn(process.stderr, "write").mockReturnValue(true);
    try {
      const { noted, ...runner } = noting();
      const kernel = onKernel(runner, "no-such-program");
      kernel.describe("a suite", () => expect.unreachable());
      kernel.test("a test", () => expect.unreachable());
      const because = "(skipped: no-such-program is not installed)";
      expect(noted).toEqual([`describe.skip a suite ${because}`, `it.skip a test ${because}`]);
      expect(stderr).toHaveBeenCalledExactlyOnceWith(
        "tests on a kernel are skipped: no-such-program is not installed\n",
      );
    } finally {
      vi.unstubAllEnvs();
      stderr.mockRestore();
    }
  });

  it("are an error where they are required", () => {
    vi.stubEnv("WKFS_REQUIRE_KERNEL", "1");
    try {
      expect(() => onKernel(noting(), "no-such-program")).toThrow(
        expect.objectContaining({ code: "HOST_UNSUPPORTED", hint: expect.any(String) }),
      );
    } finally {
      vi.unstubAllEnvs();
    }
  });
});
