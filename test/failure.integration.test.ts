import { chmod, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execute, whyNoKernel } from "@wkfs/core/testing";
import { describe, expect, it } from "vitest";
import { type PacketFilter, iptables, nftables } from "./support/packet-filter.ts";
import { SERVER, Site } from "./support/site.ts";

const tcp4 = { host: SERVER.ipv4, port: 2222 };

for (const filter of [iptables, nftables]) {
  const reason = whyNoKernel(...filter.programs);
  const because = reason === undefined ? "" : ` (skipped: ${reason})`;
  describe.skipIf(reason !== undefined)(`on a real kernel, ${filter.name}${because}`, { timeout: 60_000 }, () => {
    failures(filter);
  });
}

function failures(filter: PacketFilter): void {
  it("the writing program failing is an error to the client, never a success", async () => {
    await using site = await Site.create(filter);
    const instance = await site.configure();
    const { writer } = filter;
    // One that fails as long as a file is there stands before the real one in the PATH.
    const broken = join(site.folder, "broken");
    await mkdir(join(site.folder, "bin"));
    await writeFile(
      join(site.folder, "bin", writer),
      `#!/bin/sh\n[ -e ${broken} ] && { echo "Error: told to fail" >&2; exit 1; }\nexec /usr/sbin/${writer} "$@"\n`,
    );
    await chmod(join(site.folder, "bin", writer), 0o755);
    const daemon = await site.daemon(instance, [], { PATH: `${join(site.folder, "bin")}:${process.env["PATH"]}` });
    await site.gateway(instance);
    expect((await site.knock(instance, { args: ["--udp", "1194"] })).code).toBe(0);
    await writeFile(broken, "");
    const writers = await execute(["pgrep", "-P", String(daemon.child.pid)]);
    for (const pid of writers.stdout.trim().split("\n")) process.kill(Number(pid), "SIGKILL");
    const answer = await site.knock(instance);
    expect(answer.code).toBe(4);
    expect(answer.stderr).toContain("firewall_failed");
    expect(await site.prober.tcp(tcp4)).toBe("silent");
    await rm(broken);
    // Within the same second, and yet no repeat of the first.
    expect((await site.knock(instance)).code).toBe(0);
    expect(await site.prober.tcp(tcp4)).toBe("open");
  });

  it("several instances stand beside each other, by configuration alone", async () => {
    await using site = await Site.create(filter);
    const one = await site.configure({ name: "one", more: { protect: { tcp: [2222], maxTime: 600 } } });
    const two = await site.configure({
      name: "two",
      gatewayPort: 8081,
      transportPort: 33_492,
      more: { protect: { tcp: [2223], maxTime: 600 } },
    });
    const daemons = [
      await site.daemon(one, ["--log-level", "debug"]),
      await site.daemon(two, ["--log-level", "debug"]),
    ];
    await site.gateway(one);
    await site.gateway(two);
    expect((await site.knock(one)).code).toBe(0);
    expect(await site.prober.tcp(tcp4)).toBe("open");
    expect(await site.prober.tcp({ ...tcp4, port: 2223 })).toBe("silent");
    expect((await site.knock(two, { args: [] })).code).toBe(0);
    expect(await site.prober.tcp({ ...tcp4, port: 2223 })).toBe("open");
    // Both have looked at the filter since, and neither has thought the other wrong.
    for (const daemon of daemons) {
      await daemon.says("checked the packet filter", daemon.log.length);
      expect(daemon.log.filter(({ msg }) => String(msg).includes("put right"))).toEqual([]);
    }
  });
}
