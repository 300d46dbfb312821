import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NetworkNamespace, onKernel } from "@wkfs/core/testing";
import { describe, expect, it } from "vitest";
import { ofLanguage } from "./support/pages.ts";
import { NODE, SystemdHost, WKFS, whyNoSystemd } from "./support/systemd-host.ts";

/** Pages whose blocks are followed on a host with systemd too. */
const FOLLOWED = ["README.md", "docs/first-server.md"];

const kernel = onKernel({ describe, it }, "nft", "systemctl", "systemd-sysusers", "systemd-run");
const lack = whyNoSystemd();
if (lack !== undefined && process.env["WKFS_REQUIRE_KERNEL"] === "1") throw new Error(lack);
const suite = lack === undefined ? kernel.describe : describe.skip;

/** A host with wkfs in its PATH, and the name of the page in its hosts. */
async function follow(use: (host: SystemdHost, run: (lines: string) => Promise<string>) => Promise<void>) {
  const network = await NetworkNamespace.create();
  const folder = await mkdtemp(join(tmpdir(), "wkfs-first-server-"));
  try {
    const host = await SystemdHost.boot(network, folder);
    try {
      const path = "/tmp/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
      const run = (lines: string) =>
        host.run("env", `PATH=${path}`, "HOME=/tmp", "bash", "-euo", "pipefail", "-c", lines);
      await run(`mkdir /tmp/bin; ln -s ${NODE} /tmp/bin/node; ln -s ${WKFS} /tmp/bin/wkfs`);
      await run("echo '127.0.0.1 localhost server.example.org' > /etc/hosts; ip link set lo up");
      await use(host, run);
    } finally {
      await host[Symbol.asyncDispose]();
    }
  } finally {
    await network[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  }
}

suite(`the first server, under the real systemd${lack === undefined ? "" : ` (skipped: ${lack})`}`, () => {
  it.each(FOLLOWED)("goes from nothing to a guard by what %s says", async (followed) => {
    const blocks = ofLanguage("sh").filter(({ page, info }) => page === followed && info === "");
    await follow(async (host, run) => {
      for (const { text } of blocks) {
        // The command is where it is on this host.
        await run(text.replace(/^ln -sf .*$/m, ""));
        if (!text.startsWith("wkfs activate")) continue;
        expect(await run("wkfs status --json")).toContain('"probation"');
        // A knock comes through both halves, each with its own user.
        await run("wkfs client open --config /etc/wkfs/client/client.yaml --tcp 22");
      }
      expect(await run("nft list set inet wkfs wkfs_v4")).toContain("127.0.0.1 . tcp . 22");
      for (const [unit, user] of [
        ["wkfs-daemon", "wkfs"],
        ["wkfs-gateway", "wkfs-gateway"],
      ] as const)
        expect(await host.property(unit, "User")).toBe(user);
      expect(await run("systemctl is-active wkfs-daemon wkfs-gateway")).toBe("active\nactive\n");
    });
  });

  it("is put back by `wkfs rescue`, goes on after a panic, and leaves nothing when it is uninstalled", async () => {
    await follow(async (_, run) => {
      await run("nft 'add table inet mine'");
      const before = await run("nft list ruleset");
      await run("wkfs install server --tcp 22 && wkfs service install");
      // The folder as a daemon that root ran by hand leaves it.
      await run("mkdir -p -m 0700 /var/lib/wkfs && touch /var/lib/wkfs/left");
      await run("wkfs activate && wkfs confirm");
      expect(
        await run("stat -c %U /var/lib/wkfs /var/lib/wkfs/left /var/lib/wkfs-rescue /var/lib/wkfs-rescue/*"),
      ).toMatch(/^wkfs\nwkfs\nroot\n(root\n)+$/);
      expect(await run("wkfs panic")).toContain("was told to stop and did");
      expect(await run("nft list ruleset")).toBe(before);
      await run("wkfs panic --over && systemctl start wkfs-daemon");
      expect(await run("nft list ruleset")).toContain("table inet wkfs");
      expect(await run("wkfs rescue")).toContain("the packet filter is what it was before the activation");
      expect(await run("nft list ruleset")).toBe(before);
      await run("rm /var/lib/wkfs/left && wkfs uninstall --purge");
      await run(
        "for gone in /etc/wkfs /var/lib/wkfs /var/lib/wkfs-rescue /etc/systemd/system/wkfs-daemon.service; do test ! -e $gone; done",
      );
    });
  });
});
