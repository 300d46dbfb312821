import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseServerConfig } from "@wkfs/core/config";
import { expect, it } from "vitest";
import { savedGuards } from "./saved-rules.ts";

it.each([
  ["what nft list ruleset prints", "table inet mine {\n}\ntable inet wkfs {\n\tchain guard {\n", true],
  ["a table of another name", "table inet doors {\n", true],
  ["the jump of nftables", '\t\tjump wkfs comment "wkfs"\n', true],
  ["the jump of iptables-save", "-A INPUT -m comment --comment wkfs -j wkfs\n", true],
  [
    "others' rules",
    '# --comment wkfs\ntable inet mine {\n-A INPUT -m comment --comment "not wkfs-like" -j DROP\n',
    false,
  ],
  ["no file", undefined, false],
])("a guard in saved rules is told of: %s", async (_, text, told) => {
  const folder = await mkdtemp(join(tmpdir(), "wkfs-saved-"));
  try {
    const path = join(folder, "rules");
    if (text !== undefined) await writeFile(path, text);
    const yaml = JSON.stringify({
      protect: { tcp: [22] },
      firewall: [{ use: "nftables", name: "doors" }],
    });
    const config = await parseServerConfig(yaml, join(folder, "wkfs.yaml"));
    const lines = await savedGuards([config, undefined], [[path, "save them"]]);
    expect(lines).toEqual(told ? [`${path} holds the guard too, and a boot brings it back: save them`] : []);
  } finally {
    await rm(folder, { recursive: true });
  }
});
