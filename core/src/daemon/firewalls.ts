import { type Firewall, type FirewallChange, inverse } from "../contracts/firewall.ts";
import type { Clock, Logger } from "../contracts/plugin.ts";
import type { AddressFamily } from "../model/address.ts";
import { WkfsError, messageOf } from "../model/errors.ts";
import type { Lease, LeaseKey } from "../model/lease.ts";
import { type Named, withTimeLimit } from "../lifecycle/time-limit.ts";
import { type Ending, lastOf, watchEnding } from "./ending.ts";

/** Milliseconds that one transaction, and the making or reading of everything, may take. */
const APPLY_LIMIT = 10_000;
const WHOLE_LIMIT = 60_000;
/** Fewest leases that are worth a lane of their own. */
const LANE = 500;

/**
 * All configured firewalls as one: a lease goes to every one that takes its family, and a change
 * happens in all of them or in none.
 */
export class Firewalls {
  readonly all: readonly Named<Firewall>[];
  readonly #clock: Clock;
  readonly #log: Logger;

  constructor(all: readonly Named<Firewall>[], clock: Clock, log: Logger) {
    this.all = all;
    this.#clock = clock;
    this.#log = log;
  }

  takes(family: AddressFamily): boolean {
    return this.all.some(({ plugin }) => plugin.capabilities.families.includes(family));
  }

  /**
   * Resolves when every kernel holds the change, with who ends the leases. When one refuses, the others are put back and the
   * refusal is thrown. Where even that fails it is logged; the caller has the kernels compared.
   */
  async apply(change: FirewallChange): Promise<Ending> {
    this.#refuseHomeless(change.open);
    const done: [Named<Firewall>, FirewallChange][] = [];
    const endings = { ipv4: [] as Ending[], ipv6: [] as Ending[] };
    for (const firewall of this.all) {
      const part = partFor(firewall.plugin, change);
      if (part.open.length + part.close.length === 0) continue;
      try {
        const watched = watchEnding(firewall.plugin.capabilities, this.#clock);
        await applyTo(firewall, part);
        done.push([firewall, part]);
        for (const family of firewall.plugin.capabilities.families) endings[family].push(watched());
      } catch (error) {
        await this.#takeBack(done);
        throw error;
      }
    }
    const last = { ipv4: lastOf(endings.ipv4), ipv6: lastOf(endings.ipv6) };
    return (lease) => last[lease.address.family](lease);
  }

  /** Who ends the leases that one firewall alone is being given: as `watchEnding`. Where others hold them too, it is us. */
  watch({ plugin }: Named<Firewall>): () => Ending {
    const watched = watchEnding(plugin.capabilities, this.#clock);
    const alone = new Set(
      plugin.capabilities.families.filter(
        (family) => this.all.filter((one) => one.plugin.capabilities.families.includes(family)).length === 1,
      ),
    );
    return () => {
      const ending = watched();
      return (lease) => (alone.has(lease.address.family) ? ending(lease) : undefined);
    };
  }

  /**
   * Closes leases that have ended, in each firewall for itself: what one cannot close, the others close all the same, and
   * nothing is opened again for its sake. Gives those that every one of theirs closed, and what failed; never rejects.
   */
  async close(leases: readonly Lease[]): Promise<{
    readonly closed: readonly Lease[];
    readonly failures: readonly { readonly firewall: string; readonly error: string }[];
  }> {
    const failures: { firewall: string; error: string }[] = [];
    const left = new Set<AddressFamily>();
    for (const firewall of this.all) {
      const part = partFor(firewall.plugin, { open: [], close: leases, before: leases });
      if (part.close.length === 0) continue;
      try {
        const { lanes = 1 } = firewall.plugin.capabilities;
        const parts = inParts(part.close, Math.max(LANE, Math.ceil(part.close.length / lanes)));
        await inLanes(firewall, parts, (close) => applyTo(firewall, { open: [], close, before: part.before }));
      } catch (error) {
        failures.push({ firewall: firewall.name, error: messageOf(error) });
        for (const family of firewall.plugin.capabilities.families) left.add(family);
      }
    }
    return { closed: leases.filter(({ address }) => !left.has(address.family)), failures };
  }

  async #takeBack(done: readonly [Named<Firewall>, FirewallChange][]): Promise<void> {
    for (const [firewall, part] of done.toReversed()) {
      try {
        await applyTo(firewall, inverse(part));
      } catch (error) {
        this.#log.error({ firewall: firewall.name, error: messageOf(error) }, "could not take a change back");
      }
    }
  }

  #refuseHomeless(leases: readonly Lease[]): void {
    const homeless = leases.find(({ address }) => !this.takes(address.family));
    if (homeless === undefined) return;
    throw new WkfsError("FIREWALL_FAILED", `no configured firewall takes ${homeless.address.family} addresses`, {
      hint: "Add one to `firewall:` in the configuration, ip6tables or nftables for IPv6.",
    });
  }
}

export function partFor(firewall: Firewall, change: FirewallChange): FirewallChange {
  const { families } = firewall.capabilities;
  const mine = ({ address }: LeaseKey) => families.includes(address.family);
  return { open: change.open.filter(mine), close: change.close.filter(mine), before: change.before.filter(mine) };
}

export function applyTo({ name, plugin }: Named<Firewall>, change: FirewallChange): Promise<void> {
  return withTimeLimit(APPLY_LIMIT, `firewall ${name}: apply`, () => plugin.apply(change));
}

/**
 * Does as many parts of a work at a time as the firewall has lanes. Rejects with the first failure once none is under way;
 * those that were not begun by then are left.
 */
export async function inLanes<Part>(
  { plugin }: Named<Firewall>,
  parts: Iterable<Part>,
  work: (part: Part) => Promise<void>,
): Promise<void> {
  const rest = parts[Symbol.iterator]();
  const failures: unknown[] = [];
  const lane = async () => {
    try {
      for (let next = rest.next(); next.done !== true && failures.length === 0; next = rest.next())
        await work(next.value);
    } catch (error) {
      failures.push(error);
    }
  };
  await Promise.all(Array.from({ length: plugin.capabilities.lanes ?? 1 }, lane));
  if (failures.length > 0) throw failures[0];
}

/** Of any number of leases as many at a time. */
export function* inParts<Key>(leases: readonly Key[], size: number): Generator<readonly Key[]> {
  for (let at = 0; at < leases.length; at += size) yield leases.slice(at, at + size);
}

export function whole<Result>({ name }: Named<Firewall>, what: string, work: () => Promise<Result>): Promise<Result> {
  return withTimeLimit(WHOLE_LIMIT, `firewall ${name}: ${what}`, work);
}
