import { readFile } from "node:fs/promises";
import { WkfsError } from "@wkfs/core";

/** The number of a group of this host. Throws `TRANSPORT_FAILED`. */
export async function groupId(group: string | number): Promise<number> {
  if (typeof group === "number" || /^\d{1,9}$/.test(group)) return Number(group);
  for (const line of (await readFile("/etc/group", "utf8")).split("\n")) {
    const [name, , id] = line.split(":");
    if (name === group && id !== undefined) return Number(id);
  }
  throw new WkfsError("TRANSPORT_FAILED", `this host has no group ${JSON.stringify(group)}`, {
    hint: "Make it with `groupadd --system`, or give the transport's group as a number.",
  });
}
