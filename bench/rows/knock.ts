import type { Family } from "../bench.ts";
export const knock: Family = { name: "knock", async measure() {} };
