import { readFile } from "node:fs/promises";
import { WkfsError } from "../model/errors.ts";

/** The number of a group of this host, by its name or number. Throws `CONFIG_INVALID`. */
export async function groupId(group: string | number): Promise<number> {
  if (typeof group === "number" || /^\d{1,9}$/.test(group)) return Number(group);
  for (const line of (await readFile("/etc/group", "utf8")).split("\n")) {
    const [name, , id] = line.split(":");
    if (name === group && id !== undefined) return Number(id);
  }
  throw new WkfsError("CONFIG_INVALID", `this host has no group ${JSON.stringify(group)}`, {
    hint: "Make it with `groupadd --system`, or give its number.",
  });
}
