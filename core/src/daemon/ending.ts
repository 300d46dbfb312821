import type { FirewallCapabilities } from "../contracts/firewall.ts";
import type { Clock } from "../contracts/plugin.ts";
import type { Lease } from "../model/lease.ts";

/**
 * When the kernel will surely have ended a lease that it was just given, in milliseconds of the steady clock; undefined
 * where it does not, or so late that we shut it.
 */
export type Ending = (lease: Lease) => number | undefined;

/**
 * Milliseconds after its deadline by which a kernel left to itself ends a lease. To take out an element costs nftables a
 * grace period of 20 ms and more, in which no knock is answered: so what it ends by then is not taken out.
 */
const LATEST = 40;
/** Milliseconds that a kernel's tick lasts at most: it counts whole ones. */
const TICK = 10;
/** Milliseconds from the deadline until a lease that is left to the kernel leaves the book: it has ended then. */
export const LINGER = LATEST + 2 * TICK;

export const endedByUs: Ending = () => undefined;

/** What comes of a change that begins now: to be called before it, and what it gives once the kernel has taken it. */
export function watchEnding({ expiry, step }: FirewallCapabilities, clock: Clock): () => Ending {
  if (expiry !== "kernel" || step === undefined) return () => endedByUs;
  const [now, began] = [clock.now(), clock.steady()];
  return () => {
    const took = clock.steady() - began;
    return ({ deadline }) => {
      const left = deadline - now;
      const given = Math.ceil(left / step) * step;
      // It counts from when it takes the element, which is some time until now.
      return given - left + took > LATEST ? undefined : began + given + took + TICK;
    };
  };
}

/** That of a lease which several kernels were given. */
export function lastOf(endings: readonly Ending[]): Ending {
  if (endings.length === 1) return endings[0]!;
  return (lease) => {
    let last: number | undefined = 0;
    for (const ending of endings) {
      const ends = ending(lease);
      last = ends === undefined || last === undefined ? undefined : Math.max(last, ends);
    }
    return last === 0 ? undefined : last;
  };
}
