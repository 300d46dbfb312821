import { z } from "zod";

export type Family = "ipv4" | "ipv6";

/** Names that reach a line of iptables-restore: nothing in them can end a word. The kernel takes 28 characters. */
const parentName = z
  .string()
  .regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,27}$/, "expected a chain's name: letters, digits and _ . -, at most 28");
/** Shorter by what the name of the chain with the leases has more. */
const chainName = z
  .string()
  .regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,22}$/, "expected a chain's name: letters, digits and _ . -, at most 23");
const setName = z
  .string()
  .regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,30}$/, "expected a set's name: letters, digits and _ . -, at most 31");
/** So long that it fits into a comment of the kernel, which holds 255 characters, in base64. */
const ruleSpec = z
  .string()
  .max(150)
  .regex(/^-[\x20-\x7e]*$/, 'expected a rule as `iptables -S` prints it, without "-A INPUT"');

/** What stands beside `use: iptables` or `use: ip6tables`. */
export function configSchema(family: Family) {
  return z
    .strictObject({
      mode: z
        .enum(["guard", "allow"])
        .default("guard")
        .describe("`guard` closes the ports by itself; `allow` adds accepts to rules of yours that close them."),
      parent: parentName.default("INPUT").describe("The chain of yours that ours hangs in."),
      chain: chainName.default("wkfs").describe("Name of our chain. Two instances on a host need two."),
      position: z
        .number()
        .int()
        .min(1)
        .max(100_000)
        .default(1)
        .describe("Where in the parent the chain hangs in `mode: allow`, counted from 1."),
      set: setName
        .optional()
        .describe(
          `The ipset, by default \`chain\` with \`-${family === "ipv4" ? "v4" : "v6"}\`. Two instances on a host need two.`,
        ),
      size: z.number().int().min(16).max(10_000_000).default(262_144).describe("Most leases that the set holds."),
      counters: z
        .boolean()
        .default(false)
        .describe(
          "Whether the kernel counts what each lease lets through, for `wkfs leases --counters`: 21 bytes a lease. A set that is there stays as it was made: `wkfs daemon --detach` first.",
        ),
      ipset: z
        .enum(["auto", "always", "never"])
        .default("auto")
        .describe("Whether leases are elements of an ipset, or rules that only a running daemon ends."),
      takeOut: z
        .array(ruleSpec)
        .max(32)
        .default([])
        .describe(
          "Rules of the parent that are out while wkfs runs in `mode: allow`, as `iptables -S` prints them, without `-A INPUT`.",
        ),
    })
    .refine((config) => config.mode === "allow" || config.takeOut.length === 0, {
      path: ["takeOut"],
      message: "rules are taken out in `mode: allow` only; the guard comes before them",
    })
    .transform((config) => ({
      ...config,
      set: config.set ?? `${config.chain}-${family === "ipv4" ? "v4" : "v6"}`,
    }));
}

export type IptablesConfig = z.output<ReturnType<typeof configSchema>>;
