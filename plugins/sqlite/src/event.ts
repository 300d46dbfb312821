import type { WkfsEvent } from "@wkfs/core";
import { z } from "zod";
import { leaseValues, readLease } from "./lease.ts";

const address = z.object({ family: z.enum(["ipv4", "ipv6"]), text: z.string(), length: z.int() });
const port = z.object({ protocol: z.enum(["tcp", "udp"]), number: z.int().min(1).max(65_535) });
const time = z.number();
const leases = z.array(z.array(z.unknown()).length(4).transform(readLease));

const events = z.array(
  z.discriminatedUnion("type", [
    z.object({ type: z.literal(["opened", "renewed", "expired"]), time, leases }),
    z.object({ type: z.literal("closed"), time, leases, by: z.string() }),
    z
      .object({
        type: z.literal("refused"),
        time,
        // JSON has no member for an undefined one; events do.
        client: z.string().optional(),
        address,
        ports: z.array(port),
        reason: z.string(),
      })
      .transform((refused) => ({ ...refused, client: refused.client })),
    z.object({ type: z.literal("healed"), time, firewall: z.string(), found: z.array(z.string()) }),
    z.object({ type: z.literal("failed"), time, firewall: z.string(), what: z.string() }),
    z.object({ type: z.literal("started"), time, leases: z.int() }),
    z.object({ type: z.literal("stopped"), time }),
  ]),
);

/** As JSON, with their leases as short as in the rows of leases. */
export function writeEvents(list: readonly WkfsEvent[]): string {
  return JSON.stringify(
    list.map((event) =>
      "leases" in event && typeof event.leases === "object"
        ? { ...event, leases: event.leases.map(leaseValues) }
        : event,
    ),
  );
}

/** Throws when they are no events of ours. */
export function readEvents(json: string): WkfsEvent[] {
  const checked = events.safeParse(JSON.parse(json));
  if (checked.success) return checked.data;
  const issue = checked.error.issues[0];
  throw new Error(`${issue?.path.join(".") ?? ""}: ${issue?.message ?? "not an event"}`);
}
