import { type FirewallChange, type KernelLease, type Lease, type LeaseKey, leaseId } from "@wkfs/core";
import { formatElement, formatRule, parseElement, parseRule } from "./lease-text.ts";
import type { Netfilter } from "./netfilter.ts";
import { parseRuleset, transaction } from "./ruleset.ts";

/** Largest timeout of an ipset element in seconds: more overflows the kernel's milliseconds. */
export const MAX_TIMEOUT = 2_147_483;

/** Where the leases of one firewall are kept in the kernel. */
export interface LeaseTable {
  apply(change: FirewallChange): Promise<void>;
  /** Reads everything back; time left is counted from `now` (ms since the epoch). */
  list(now: number): Promise<KernelLease[]>;
}

/** Leases as elements of an ipset, which the kernel ends by itself. */
export class SetLeases implements LeaseTable {
  readonly #netfilter: Netfilter;
  readonly #set: string;
  readonly #now: () => number;

  constructor(netfilter: Netfilter, set: string, now: () => number) {
    this.#netfilter = netfilter;
    this.#set = set;
    this.#now = now;
  }

  /** ipset has no transactions: what went through of a change that was refused is taken back, line by line. */
  async apply({ open, close, before }: FirewallChange): Promise<void> {
    const lines = [...close.map((key) => this.#del(key)), ...open.map((lease) => this.#add(lease))];
    try {
      await this.#netfilter.writeSet(lines);
    } catch (error) {
      const stood = new Set(before.map(leaseId));
      const undo = [
        ...open.filter((lease) => !stood.has(leaseId(lease))).map((lease) => this.#del(lease)),
        ...before.map((lease) => this.#add(lease)),
      ];
      // When even that is refused, the first refusal says why.
      await this.#netfilter.writeSet(undo).catch(() => {});
      throw error;
    }
  }

  async list(now: number): Promise<KernelLease[]> {
    return (await this.#netfilter.readSet(this.#set)).flatMap((line) => {
      const element = parseElement(line);
      // 0 is an element without an end: it reads as one with the latest end of all, so that it is seen to be wrong.
      if (element === undefined) return [];
      const { key, timeout, counters } = element;
      return [{ ...key, deadline: now + (timeout || MAX_TIMEOUT) * 1000, ...(counters && { counters }) }];
    });
  }

  #add(lease: Lease): string {
    // Whole seconds, rounded up: the kernel never ends a lease before its deadline.
    const timeout = Math.ceil((lease.deadline - this.#now()) / 1000);
    // A lease that has ended meanwhile is not opened again; and a timeout of 0 would be no end at all.
    if (timeout <= 0) return this.#del(lease);
    return `add ${this.#set} ${formatElement(lease)} timeout ${timeout}`;
  }

  #del(key: LeaseKey): string {
    return `del ${this.#set} ${formatElement(key)}`;
  }
}

/** Leases as rules of a chain, for hosts without ipset. Nobody ends them but us. */
export class RuleLeases implements LeaseTable {
  readonly #netfilter: Netfilter;
  readonly #chain: string;

  constructor(netfilter: Netfilter, chain: string) {
    this.#netfilter = netfilter;
    this.#chain = chain;
  }

  /** One transaction of the kernel's. It refuses to delete what is not there, so what is there is read first. */
  async apply({ open, close }: FirewallChange): Promise<void> {
    const there = new Set((await this.list()).map(leaseId));
    const lines: string[] = [];
    for (const key of close) if (there.delete(leaseId(key))) lines.push(`-D ${this.#chain} ${formatRule(key)}`);
    for (const lease of open) {
      if (there.has(leaseId(lease))) continue;
      there.add(leaseId(lease));
      lines.push(`-A ${this.#chain} ${formatRule(lease)}`);
    }
    if (lines.length > 0) await this.#netfilter.restore(transaction(lines));
  }

  async list(): Promise<KernelLease[]> {
    return (parseRuleset(await this.#netfilter.save()).get(this.#chain) ?? []).flatMap((line) => parseRule(line) ?? []);
  }
}
