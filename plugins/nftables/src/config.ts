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
  family: z.enum(["inet", "ip", "ip6"]).default("inet"),
  table: name.default("filter"),
  chain: name.default("input"),
});

/** What stands beside `use: nftables`. */
export const configSchema = z
  .strictObject({
    mode: z.enum(["guard", "allow"]).default("guard"),
    /**
     * What everything of ours is called: in `mode: guard` our table, in `mode: allow` our chain, and the sets begin
     * with it. Two instances on a host need two.
     */
    name: name.default("wkfs"),
    /** Most leases of a family that are held; each family has a set of its own. */
    size: z.number().int().min(16).max(10_000_000).default(262_144),
    /** Whether the kernel counts what each lease lets through; a renewal begins anew. */
    counters: z.boolean().default(false),
    /**
     * In `mode: guard`: where our chain stands among those of the input hook. Lower comes earlier; `filter` is 0.
     * Above -200, where the kernel's connection tracking does its work, which the chain asks.
     */
    priority: z.number().int().min(-199).max(1000).optional(),
    /** In `mode: allow`: the administrator's chain that calls ours. It must be there. */
    parent: parentSchema.optional(),
    /** In `mode: allow`: where in the parent the call stands, counted from 1. */
    position: z.number().int().min(1).max(100_000).optional(),
    /** In `mode: allow`: rules of the parent that are taken out while wkfs runs. */
    takeOut: z.array(ruleSpec).max(32).optional(),
  })
  .superRefine((config, context) => {
    const other = config.mode === "guard" ? (["parent", "position", "takeOut"] as const) : (["priority"] as const);
    for (const key of other)
      if (config[key] !== undefined)
        context.addIssue({ code: "custom", path: [key], message: `has no effect in \`mode: ${config.mode}\`` });
  })
  .transform((config) => ({
    ...config,
    priority: config.priority ?? -10,
    parent: config.parent ?? parentSchema.parse({}),
    position: config.position ?? 1,
    takeOut: config.takeOut ?? [],
  }));

export type NftablesConfig = z.output<typeof configSchema>;
