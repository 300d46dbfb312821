import { z } from "zod";

/** Names that reach a command of nft: nothing in them can end a word. */
const name = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_.-]{0,31}$/, "expected a name: letters, digits and _ . -, at most 32, a letter first");

/** What stands beside `use: nftables`. */
export const configSchema = z.strictObject({
  mode: z.enum(["guard"]).default("guard"),
  /** The table of ours; two instances on a host need two. */
  name: name.default("wkfs"),
  /**
   * Where our chain stands among those of the input hook: lower comes earlier, and `filter` is 0. Above -200,
   * where the kernel's connection tracking does its work, which the chain asks.
   */
  priority: z.number().int().min(-199).max(1000).default(-10),
  /** Most leases of a family that are held; each family has a set of its own. */
  size: z.number().int().min(16).max(10_000_000).default(262_144),
});

export type NftablesConfig = z.output<typeof configSchema>;
