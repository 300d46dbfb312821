import { type FirewallChange, type KernelLease, type Lease, type LeaseKey, WkfsError, isPortNumber, leaseId, parseAddress } from "@wkfs/core";
import type { Netfilter } from "./netfilter.ts";
import { parseRuleset, transaction } from "./ruleset.ts";

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
      const undo = [...open.filter((lease) => !stood.has(leaseId(lease))).map((lease) => this.#del(lease)), ...before.map((lease) => this.#add(lease))];
      // When even that is refused, the first refusal says why.
      await this.#netfilter.writeSet(undo).catch(() => {});
      throw error;
    }
  }

  async list(now: number): Promise<KernelLease[]> {
    return (await this.#netfilter.readSet(this.#set)).map((line) => {
      const [, address, protocol, port, timeout] = /^(\S+),(tcp|udp):(\d+) timeout (\d+)$/.exec(line) ?? [];
      const number = Number(port);
      if (address === undefined || (protocol !== "tcp" && protocol !== "udp") || !isPortNumber(number)) {
        throw new WkfsError("FIREWALL_FAILED", `the set ${this.#set} holds "${line}", which wkfs did not write`, {
          hint: `Take it out with: ipset del ${this.#set} ${line.split(" ")[0]}`,
        });
      }
      return { address: parseAddress(address), port: { protocol, number }, deadline: now + Number(timeout) * 1000 };
    });
  }

  #add(lease: Lease): string {
    // Whole seconds, rounded up: the kernel never ends a lease before its deadline.
    const timeout = Math.max(1, Math.ceil((lease.deadline - this.#now()) / 1000));
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
    return (parseRuleset(await this.#netfilter.save()).get(this.#chain) ?? []).map((line) => {
      const [, address, protocol, port] = /^-s (\S+)\/(?:32|128) -p (tcp|udp) -m (?:tcp|udp) --dport (\d+) -j ACCEPT$/.exec(line) ?? [];
      const number = Number(port);
      if (address === undefined || (protocol !== "tcp" && protocol !== "udp") || !isPortNumber(number)) {
        throw new WkfsError("FIREWALL_FAILED", `the chain ${this.#chain} holds "${line}", which wkfs did not write`, {
          hint: `Take it out with: iptables -D ${this.#chain} ${line}`,
        });
      }
      return { address: parseAddress(address), port: { protocol, number } };
    });
  }
}

function rule({ address, port }: LeaseKey): string {
  return `-s ${address.text}/${address.length} -p ${port.protocol} -m ${port.protocol} --dport ${port.number} -j ACCEPT`;
}
