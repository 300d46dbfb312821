import { realpathSync } from "node:fs";
import { describe, expect, it } from "vitest";

const brought =
  process.platform === "linux" && ["x64", "arm64"].includes(process.arch) && !("musl" in process.report.getReport());

describe("the Node that runs the tests", () => {
  it("is new enough for the product", () => {
    expect(Number(process.versions.node.split(".")[0])).toBeGreaterThanOrEqual(24);
  });

  it.skipIf(!brought)(
    `is the one of node_modules${brought ? "" : " (skipped: no Node is brought for this platform)"}`,
    () => {
      expect(realpathSync(process.execPath)).toContain(`node_modules/node-linux-${process.arch}/`);
    },
  );
});
