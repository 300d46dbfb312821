import { expect, it } from "vitest";
import type { PluginRow } from "./rows.ts";
import { pluginTable } from "./table.ts";

const row = { package: undefined, folder: undefined, usedAt: [] };
const rows: PluginRow[] = [
  { ...row, name: "iptables", kind: "firewall", version: "0.1.0", from: "bundled", origin: undefined, used: true },
  { ...row, name: "pager", kind: "notifier", version: "12.0.1", from: "tarball", origin: "/srv/x.tgz", used: false },
  { ...row, name: "odd", kind: undefined, version: undefined, from: "link", origin: "/home/o", used: undefined },
];

it("is columns for people", () => {
  expect(pluginTable(rows, true).join("\n")).toBe(`\
NAME      KIND      VERSION  USED  FROM
iptables  firewall  0.1.0    yes   bundled
pager     notifier  12.0.1   no    tarball /srv/x.tgz
odd       -         -        -     link /home/o`);
});

it("is a plugin a line for programs", () => {
  expect(pluginTable(rows, false)[1]).toBe("pager\tnotifier\t12.0.1\tno\ttarball /srv/x.tgz");
});
