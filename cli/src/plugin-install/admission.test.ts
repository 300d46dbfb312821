import { describe, expect, it } from "vitest";
import { admit } from "./admission.ts";

const right = { name: "wkfs-plugin-pager", version: "1.0.0", wkfs: { apiVersion: 1, kind: "notifier" } };

describe("a package", () => {
  it("is admitted as a plugin, and need not say its kind", () => {
    expect(admit(right, "it")).toEqual({ name: right.name, version: "1.0.0", use: "pager", kind: "notifier" });
    expect(admit({ ...right, wkfs: { apiVersion: 1 } }, "it")).toMatchObject({ use: "pager", kind: undefined });
    const peers = { peerDependencies: { "@wkfs/core": "^0.1.0" }, dependencies: { "@wkfs/corea": "1" } };
    expect(admit({ ...right, ...peers }, "it")).toMatchObject({ use: "pager" });
    const oclif = { commands: "./dist/commands", topicSeparator: " " };
    expect(admit({ ...right, oclif }, "it")).toMatchObject({ use: "pager" });
  });

  it.each([
    ["without the key", { wkfs: undefined }, /right package/],
    ["with a key that says nothing", { wkfs: true }, /"apiVersion": 1/],
    ["with an empty key", { wkfs: {} }, /"apiVersion": 1/],
    ["of a kind that there is not", { wkfs: { apiVersion: 1, kind: "printer" } }, /the kind is firewall, /],
    ["for a later version of the contracts", { wkfs: { apiVersion: 2 } }, /Update wkfs, .*wkfs-plugin-pager@VERSION/],
    ["for an earlier version of the contracts", { wkfs: { apiVersion: 0 } }, /wkfs-plugin-pager@latest/],
    ["that brings core along", { dependencies: { "@wkfs/core": "*" } }, /peerDependencies/],
    ["that would rather bring core along", { optionalDependencies: { "@wkfs/core": "*" } }, /peerDependencies/],
    ["that would run at every command", { oclif: { hooks: { init: "./x.js" } } }, /add commands, and nothing else/],
    ["that brings further plugins of oclif", { oclif: { plugins: ["other"] } }, /add commands, and nothing else/],
    ["called as something else", { name: "pager" }, /wkfs-plugin-NAME/],
    ["of a strange scope", { name: "@acme/pager" }, /wkfs-plugin-NAME/],
    ["of a name that climbs", { name: "wkfs-plugin-../../x" }, /wkfs-plugin-NAME/],
    ["of a version that climbs", { version: "1.0.0/../../x" }, /right package/],
    ["without a version", { version: undefined }, /right package/],
  ])("is refused %s, with what to do", (_, more, hint) => {
    const error = expect.objectContaining({ code: "PLUGIN_INVALID", hint: expect.stringMatching(hint) as unknown });
    expect(() => admit({ ...right, ...more }, "it")).toThrow(error);
  });
});
