import { readFile } from "node:fs/promises";
import { WkfsError } from "@wkfs/core";

/** The number of a group of this host, by name or number. Throws `CONFIG_INVALID`. */
export async function groupId(name: string): Promise<number> {
  if (/^\d{1,9}$/.test(name)) return Number(name);
  const groups = await readFile("/etc/group", "utf8");
  for (const line of groups.split("\n")) {
    const [group, , id] = line.split(":");
    if (group === name && id !== undefined) return Number(id);
  }
  throw new WkfsError("CONFIG_INVALID", `this host has no group ${JSON.stringify(name)}`, {
    hint: `Make it first (groupadd --system ${/^[a-z][\w-]*$/.test(name) ? name : "NAME"}), or give its number.`,
  });
}
