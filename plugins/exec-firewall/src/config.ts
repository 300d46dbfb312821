import { commandSchema } from "@wkfs/exec";
import { z } from "zod";

const FAMILIES = ["ipv4", "ipv6"] as const;

/** What stands beside `use: exec-firewall`. */
export const configSchema = z.strictObject({
  command: commandSchema.describe(
    "The full path of a program and its arguments, for a router or a security group. No shell.",
  ),
  families: z
    .array(z.enum(FAMILIES))
    .min(1)
    .refine((families) => new Set(families).size === families.length, "names a family twice")
    .default([...FAMILIES])
    .describe("The address families that the other side takes."),
  expiry: z
    .enum(["core", "kernel"])
    .default("core")
    .describe("Who ends a lease: `kernel`, where the other side does so also when this daemon is dead; else `core`."),
  maxTimeout: z
    .int()
    .min(1)
    .max(2_147_483)
    .default(2_147_483)
    .describe("Longest time of a lease that the other side takes, in seconds."),
  // Core waits ten at most.
  timeout: z.int().min(1).max(8).default(4).describe("Seconds that a change may take. Knocks wait meanwhile."),
  checkEvery: z
    .int()
    .min(0)
    .max(3600)
    .default(30)
    .describe("Seconds between two times that the command is asked whether all stands; 0: every 2 seconds."),
});

export type ExecFirewallConfig = z.output<typeof configSchema>;
