import { recordingLogger, storeSuite, testContext } from "@wkfs/core/testing";
import { describe, expect, it } from "vitest";
import plugin from "./index.ts";

storeSuite("memory", { describe, it }, async () => ({
  persistent: false,
  make: async () => plugin.create({}, testContext()),
  [Symbol.asyncDispose]: async () => {},
}));

describe("memory", () => {
  it("warns when it is opened, and not before", async () => {
    const log = recordingLogger();
    const store = await plugin.create({}, testContext({ log }));
    expect(log.lines).toEqual([]);
    await store.open();
    expect(log.lines.map(({ level }) => level)).toEqual(["warn"]);
    await store.close();
  });

  it("takes no configuration", async () => {
    const validate = async (config: object) => (await plugin.configSchema["~standard"].validate(config)).issues;
    expect(await validate({})).toBeUndefined();
    expect(await validate({ path: "/x" })).toBeDefined();
  });
});
