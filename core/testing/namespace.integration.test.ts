import { describe, expect, it } from "vitest";
import { NetworkNamespace, execute, whyNoKernel } from "./namespace.ts";

const reason = whyNoKernel();
const userNamespaces = (await execute(["unshare", "--user", "--map-root-user", "--net", "true"])).code === 0;

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

describe.skipIf(!userNamespaces)("network namespaces in a user namespace (skipped where nobody may make them)", () => {
  it("are joined, and have a root who is not the host's", async () => {
    await using server = await NetworkNamespace.create({ user: "own" });
    await using client = await NetworkNamespace.create({ user: server });
    await server.connect(client, ["10.9.0.1/24"], ["10.9.0.2/24"]);
    expect(await client.run("ip", "route", "get", "10.9.0.1")).toContain("wire0");
    const us = (await execute(["readlink", "/proc/self/ns/user"])).stdout;
    const theirs = await Promise.all([server, client].map((host) => host.run("readlink", "/proc/self/ns/user")));
    expect(theirs[0]).not.toBe(us);
    expect(theirs[1]).toBe(theirs[0]);
  });
});
