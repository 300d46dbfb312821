import {
  type FirewallChange,
  type KernelLease,
  type Lease,
  type LeaseKey,
  isPortNumber,
  leaseId,
  parseAddress,
} from "@wkfs/core";
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
      const [, address, protocol, port, timeout] = /^(\S+),(tcp|udp):(\d+) timeout (\d+)$/.exec(line) ?? [];
      const key = leaseKey(address, protocol, port);
      // 0 is an element without an end: it reads as one with the latest end of all, so that it is seen to be wrong.
      return key === undefined ? [] : [{ ...key, deadline: now + (Number(timeout) || MAX_TIMEOUT) * 1000 }];
    });
  }

  #add(lease: Lease): string {
    // Whole seconds, rounded up: the kernel never ends a lease before its deadline.
    const timeout = Math.ceil((lease.deadline - this.#now()) / 1000);
    // A lease that has ended meanwhile is not opened again; and a timeout of 0 would be no end at all.
    if (timeout <= 0) return this.#del(lease);
    return `add ${this.#set} ${element(lease)} timeout ${timeout}`;
  }

  #del(key: LeaseKey): string {
    return `del ${this.#set} ${element(key)}`;
  }
}

function element({ address, port }: LeaseKey): string {
  return `${address.text},${port.protocol}:${port.number}`;
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
    for (const key of close) if (there.delete(leaseId(key))) lines.push(`-D ${this.#chain} ${rule(key)}`);
    for (const lease of open) {
      if (there.has(leaseId(lease))) continue;
      there.add(leaseId(lease));
      lines.push(`-A ${this.#chain} ${rule(lease)}`);
    }
    if (lines.length > 0) await this.#netfilter.restore(transaction(lines));
  }

  async list(): Promise<KernelLease[]> {
    return (parseRuleset(await this.#netfilter.save()).get(this.#chain) ?? []).flatMap(
      (line) => leaseOfRule(line) ?? [],
    );
  }
}

/** The lease that a rule is; undefined for a rule that wkfs did not write. */
export function leaseOfRule(line: string): LeaseKey | undefined {
  const [, address, protocol, port] =
    /^-s (\S+)\/(?:32|128) -p (tcp|udp) -m (?:tcp|udp) --dport (\d+) -j ACCEPT$/.exec(line) ?? [];
  return leaseKey(address, protocol, port);
}

function leaseKey(
  address: string | undefined,
  protocol: string | undefined,
  port: string | undefined,
): LeaseKey | undefined {
  const number = Number(port);
  if (address === undefined || (protocol !== "tcp" && protocol !== "udp") || !isPortNumber(number)) return undefined;
  try {
    return { address: parseAddress(address), port: { protocol, number } };
  } catch {
    return undefined;
  }
}

function rule({ address, port }: LeaseKey): string {
  return `-s ${address.text}/${address.length} -p ${port.protocol} -m ${port.protocol} --dport ${port.number} -j ACCEPT`;
}
