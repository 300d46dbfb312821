import { mkdir, writeFile } from "node:fs/promises";
import type { Sandbox } from "./wkfs.ts";

/** A packet filter and a store that are only lists, so that the commands can run without a kernel. One that is `slow` never
 * lets go: who waits for it must be ended. */
const FIREWALL = `
import { API_VERSION, WkfsError, leaseId } from "@wkfs/core";
const schema = { "~standard": { version: 1, vendor: "test", validate: (value) => ({ value }) } };
export default { name: "list-firewall", apiVersion: API_VERSION, kind: "firewall", configSchema: schema, create({ broken, slow }, { log }) {
  const held = new Map();
  return {
    capabilities: { families: ["ipv4", "ipv6"], expiry: "core", maxTimeout: 2147483, resolution: 1, prefixes: false },
    async attach() { if (broken) throw new WkfsError("FIREWALL_FAILED", "the filter is broken", { hint: "Mend it." }); },
    async apply({ open, close }) {
      for (const key of close) held.delete(leaseId(key));
      for (const lease of open) held.set(leaseId(lease), lease);
    },
    async check() { return { missing: [], count: held.size }; },
    async list() { return { missing: [], leases: [...held.values()] }; },
    async release() { if (slow) await new Promise(() => setInterval(() => {}, 60_000)); },
    async detach() { log.info({}, "detached"); },
  };
} };
`;
const STORE = `
import { API_VERSION, leaseId } from "@wkfs/core";
const schema = { "~standard": { version: 1, vendor: "test", validate: (value) => ({ value }) } };
export default { name: "list-store", apiVersion: API_VERSION, kind: "store", configSchema: schema, create() {
  const held = new Map();
  return {
    async open() {},
    async leases() { return [...held.values()]; },
    async write({ put = [], remove = [] }) {
      for (const key of remove) held.delete(leaseId(key));
      for (const lease of put) held.set(leaseId(lease), lease);
    },
    async history() { return []; },
    async pending() { return []; },
    async close() {},
  };
} };
`;

/** Puts both into the data directory, as `wkfs plugins install` would. */
export async function installListPlugins(host: Sandbox): Promise<void> {
  for (const [name, code] of [
    ["list-firewall", FIREWALL],
    ["list-store", STORE],
  ] as const) {
    const root = host.path("data", "node_modules", `wkfs-plugin-${name}`);
    await mkdir(root, { recursive: true });
    const description = {
      name: `wkfs-plugin-${name}`,
      version: "1.0.0",
      type: "module",
      exports: "./index.js",
      wkfs: { apiVersion: 1 },
    };
    await writeFile(`${root}/package.json`, JSON.stringify(description));
    await writeFile(`${root}/index.js`, code);
  }
  const plugins = ["list-firewall", "list-store"].map((name) => ({
    name: `wkfs-plugin-${name}`,
    type: "user",
    tag: "latest",
  }));
  await writeFile(host.path("data", "package.json"), JSON.stringify({ oclif: { schema: 1, plugins } }));
}
