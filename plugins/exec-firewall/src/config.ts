import { commandSchema } from "@wkfs/exec";
import { z } from "zod";

const FAMILIES = ["ipv4", "ipv6"] as const;

/** What stands beside `use: exec-firewall`. */
export const configSchema = z.strictObject({
  command: commandSchema,
  families: z
    .array(z.enum(FAMILIES))
    .min(1)
    .refine((families) => new Set(families).size === families.length, "names a family twice")
    .default([...FAMILIES]),
  /** Who ends a lease: `kernel`, where the other side does so also when this daemon is dead; else `core`. */
  expiry: z.enum(["core", "kernel"]).default("core"),
  /** Longest time of a lease that the other side takes, in seconds. */
  maxTimeout: z.int().min(1).max(2_147_483).default(2_147_483),
  /** Seconds that `apply` and `check` may run: knocks wait meanwhile, and core waits ten at most. */
  timeout: z.int().min(1).max(8).default(4),
  /** Seconds between two times that the command is asked whether all stands; 0: at each of core's looks. */
  checkEvery: z.int().min(0).max(3600).default(30),
});

export type ExecFirewallConfig = z.output<typeof configSchema>;
