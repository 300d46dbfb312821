import { describe, expect, it } from "vitest";
import { NetworkNamespace, execute, whyNoKernel } from "./namespace.ts";

const reason = whyNoKernel();

describe.skipIf(reason !== undefined)(`a network namespace${reason ? ` (skipped: ${reason})` : ""}`, () => {
  it("is another host than ours, joined by a cable", async () => {
    await using server = await NetworkNamespace.create();
    await using client = await NetworkNamespace.create();
    await server.connect(client, ["10.9.0.1/24", "fd09::1/64"], ["10.9.0.2/24", "fd09::2/64"]);
    expect(await client.run("ip", "-6", "route", "get", "fd09::1")).toContain("wire0");
    expect((await execute(["ip", "address", "show"])).stdout).not.toContain("10.9.0.1");
    expect((await client.exec(["false"])).code).toBe(1);
    expect((await client.exec(["no-such-program-here"])).code).toBe(127);
  });

  it("ends what still runs in it when it ends", async () => {
    const namespace = await NetworkNamespace.create();
    const child = namespace.spawn(["sleep", "1000"]);
    await namespace[Symbol.asyncDispose]();
    expect(child.signalCode).toBe("SIGKILL");
  });
});
