import { z } from "zod";

/** Names that reach a command of nft: nothing in them can end a word. */
const name = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_.-]{0,31}$/, "expected a name: letters, digits and _ . -, at most 32, a letter first");
const ruleSpec = z
  .string()
  .max(2000)
  .regex(/^[a-z][\x20-\x7e]*$/, "expected a rule as `nft list chain` prints it");

const parentSchema = z.strictObject({
  family: z.enum(["inet", "ip", "ip6"]).default("inet").describe("Family of the table."),
  table: name.default("filter").describe("The table that the chain is in."),
  chain: name.default("input").describe("The chain. It must be there."),
});

/** Before the chains of others at `filter`. */
const PRIORITY = -10;

/** What stands beside `use: nftables`. */
export const configSchema = z
  .strictObject({
    mode: z
      .enum(["guard", "allow"])
      .default("guard")
      .describe("`guard` closes the ports by itself; `allow` adds accepts to rules of yours that close them."),
    name: name
      .default("wkfs")
      .describe(
        "Our table in `mode: guard`, our chain in `mode: allow`; the two sets begin with it. Two instances on a host need two.",
      ),
    size: z
      .number()
      .int()
      .min(16)
      .max(10_000_000)
      .default(262_144)
      .describe("Most leases of each family that are held."),
    counters: z
      .boolean()
      .default(false)
      .describe(
        "Whether the kernel counts what each lease lets through, for `wkfs leases --counters`. A renewal begins anew at 0; writing and reading many leases takes up to a third longer.",
      ),
    // Above -200, where the kernel's connection tracking does its work, which the chain asks.
    priority: z.number().int().min(-199).max(1000).optional().meta({
      description: "Where the guard stands among the chains of the input hook. Lower comes earlier; `filter` is 0.",
      default: PRIORITY,
    }),
    parent: parentSchema
      .optional()
      .meta({ description: "In `mode: allow`: the chain of yours that calls ours.", default: parentSchema.parse({}) }),
    position: z
      .number()
      .int()
      .min(1)
      .max(100_000)
      .optional()
      .meta({ description: "In `mode: allow`: where in the parent the call stands, counted from 1.", default: 1 }),
    takeOut: z.array(ruleSpec).max(32).optional().meta({
      description:
        "In `mode: allow`: rules of the parent that are out while wkfs runs, as `nft list chain` prints them.",
      default: [],
    }),
  })
  .superRefine((config, context) => {
    const other = config.mode === "guard" ? (["parent", "position", "takeOut"] as const) : (["priority"] as const);
    for (const key of other)
      if (config[key] !== undefined)
        context.addIssue({ code: "custom", path: [key], message: `has no effect in \`mode: ${config.mode}\`` });
  })
  .transform((config) => ({
    ...config,
    priority: config.priority ?? PRIORITY,
    parent: config.parent ?? parentSchema.parse({}),
    position: config.position ?? 1,
    takeOut: config.takeOut ?? [],
  }));

export type NftablesConfig = z.output<typeof configSchema>;
