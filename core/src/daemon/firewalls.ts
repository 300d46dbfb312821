import { type Firewall, type FirewallChange, inverse } from "../contracts/firewall.ts";
import type { Logger } from "../contracts/plugin.ts";
import type { AddressFamily } from "../model/address.ts";
import { WkfsError, messageOf } from "../model/errors.ts";
import type { Lease, LeaseKey } from "../model/lease.ts";
import { type Named, withTimeLimit } from "../lifecycle/time-limit.ts";

/** Milliseconds that one transaction, and the making or reading of everything, may take. */
const APPLY_LIMIT = 10_000;
const WHOLE_LIMIT = 60_000;

/**
 * All configured firewalls as one: a lease goes to every one that takes its family, and a change
 * happens in all of them or in none.
 */
export class Firewalls {
  readonly all: readonly Named<Firewall>[];
  readonly #log: Logger;

  constructor(all: readonly Named<Firewall>[], log: Logger) {
    this.all = all;
    this.#log = log;
  }

  takes(family: AddressFamily): boolean {
    return this.all.some(({ plugin }) => plugin.capabilities.families.includes(family));
  }

  /**
   * Resolves when every kernel holds the change. When one refuses, the others are put back and the
   * refusal is thrown. Where even that fails it is logged; the caller has the kernels compared.
   */
  async apply(change: FirewallChange): Promise<void> {
    this.#refuseHomeless(change.open);
    const done: [Named<Firewall>, FirewallChange][] = [];
    for (const firewall of this.all) {
      const part = partFor(firewall.plugin, change);
      if (part.open.length + part.close.length === 0) continue;
      try {
        await applyTo(firewall, part);
        done.push([firewall, part]);
      } catch (error) {
        await this.#takeBack(done);
        throw error;
      }
    }
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
        await applyTo(firewall, part);
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

export function whole<Result>({ name }: Named<Firewall>, what: string, work: () => Promise<Result>): Promise<Result> {
  return withTimeLimit(WHOLE_LIMIT, `firewall ${name}: ${what}`, work);
}
