import { type Listener, listenersOf } from "./listeners.ts";
import { type OtherFirewalls, otherFirewalls } from "./others.ts";
import { type PacketFilter, packetFilter } from "./packet-filter.ts";
import { runningPrograms } from "./programs.ts";
import { listeningSockets } from "./sockets.ts";

/** What an installation wants to know of this host. */
export interface Host {
  readonly listeners: readonly Listener[];
  readonly filter: PacketFilter;
  readonly others: OtherFirewalls;
}

/** Looks at this host, or at the network namespace of this process, and changes nothing. */
export async function lookAround(): Promise<Host> {
  const [sockets, programs, filter] = await Promise.all([listeningSockets(), runningPrograms(), packetFilter()]);
  const listeners = listenersOf(sockets, programs);
  return { listeners, filter, others: await otherFirewalls(filter.texts, programs) };
}
