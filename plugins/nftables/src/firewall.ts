import {
  type AttachOptions,
  type Firewall,
  type FirewallAttached,
  type FirewallCapabilities,
  type FirewallChange,
  type FirewallCheck,
  type FirewallState,
  type KernelLease,
  type Lease,
  type LeaseKey,
  type PluginContext,
  type ReleaseOptions,
  WkfsError,
  inverse,
  messageOf,
} from "@wkfs/core";
import type { NftablesConfig } from "./config.ts";
import { type Layout, layoutOf } from "./layout.ts";
import { MAX_TIMEOUT, STEP, changeCommands, elementOf, parseElements } from "./lease-text.ts";
import { type Nftables, Unanswered } from "./nftables.ts";
import { full } from "./program.ts";
import {
  attachCommands,
  detachCommands,
  foreignSets,
  missingFrom,
  printed,
  releaseCommands,
  switchedOff,
  unfitSets,
  written,
} from "./ruleset.ts";
import { type Table, parseTable } from "./table-text.ts";

/** Leases as elements of two sets, which the kernel ends by itself, and a chain whose rules look into them. */
export class NftablesFirewall implements Firewall {
  readonly #config: NftablesConfig;
  readonly #context: PluginContext;
  readonly #nftables: Nftables;
  #layout: Layout;
  #guardUntil: number | undefined;
  /** Whether the kernel finds the socket of a packet; until it refuses. */
  #sockets = true;
  /** Our chain as this nft printed it when we had made it: versions differ in words, so it is not compared to ours. */
  #printed: readonly string[];
  #attached = false;

  constructor(config: NftablesConfig, context: PluginContext, nftables: Nftables) {
    this.#config = config;
    this.#context = context;
    this.#nftables = nftables;
    this.#layout = layoutOf(config, context.protect);
    this.#printed = written(this.#layout);
  }

  get capabilities(): FirewallCapabilities {
    return {
      families: [...this.#layout.sets.keys()],
      expiry: "kernel",
      maxTimeout: MAX_TIMEOUT,
      prefixes: false,
      // What is read back are whole seconds.
      resolution: 1000,
      step: STEP,
      lanes: 2,
      guardUntil: true,
      counters: this.#layout.counters,
    };
  }

  async attach({ guardUntil }: AttachOptions = {}): Promise<FirewallAttached> {
    if (guardUntil !== this.#guardUntil) {
      this.#guardUntil = guardUntil;
      this.#plan();
    }
    const before = await this.#table();
    const empty = [...this.#layout.sets.values()].every((set) => before?.sets.has(set) !== true);
    if (this.#attached && this.#missing(before).length === 0) return { empty };
    this.#refuseForeign(before);
    const { family, name } = this.#layout.table;
    // The kernel refuses to switch a table on and to add a chain to it in one transaction.
    if (switchedOff(before, this.#layout)) await this.#nftables.write(`add table ${family} ${name}\n`);
    const unfit = unfitSets(before, this.#layout);
    const kept = await Promise.all(unfit.map(([, set]) => this.#read(set)));
    await this.#writeAttach(before, kept.flat().map(asLease));
    const after = await this.#table();
    const lines = printed(after, this.#layout);
    const missing = missingFrom(after, this.#layout, lines);
    if (missing.length > 0 || lines.length !== written(this.#layout).length) {
      throw new WkfsError(
        "FIREWALL_FAILED",
        `nft did what it was told, and yet ${missing.join("; ") || "rules are missing"}`,
        {
          hint: "Another program writes the same table; give wkfs another one with `name:` in the configuration.",
        },
      );
    }
    this.#printed = lines;
    this.#attached = true;
    return { empty };
  }

  async apply(change: FirewallChange): Promise<void> {
    this.#refuseHomeless([...change.open, ...change.close]);
    if (change.open.length + change.close.length === 0) return;
    try {
      await this.#write(change);
    } catch (error) {
      // It may have happened. When even taking it back fails, the first failure says why.
      if (error instanceof Unanswered) await this.#write(inverse(change)).catch(() => {});
      throw beyondHearing(error) ? this.#overflow(error, [...(await this.#leases()), ...change.open]) : error;
    }
  }

  /** nft 1.0 does not say how many elements a set has, and reading all takes seconds at 100,000. */
  async check(sample: readonly LeaseKey[] = []): Promise<FirewallCheck> {
    const table = await this.#table();
    const counts = [...this.#layout.sets.values()].map((set) => table?.sets.get(set)?.count);
    const count = counts.reduce((sum, one) => (sum === undefined || one === undefined ? undefined : sum + one), 0);
    const missing = this.#missing(table);
    return { missing, absent: count === undefined && missing.length === 0 ? await this.#absent(sample) : [], count };
  }

  async list(): Promise<FirewallState> {
    return { missing: this.#missing(await this.#table()), leases: await this.#leases() };
  }

  async release({ successor = false }: ReleaseOptions = {}): Promise<void> {
    if ("chain" in this.#layout.caller && !successor) {
      const commands = releaseCommands(await this.#table(), this.#layout);
      if (commands !== undefined) await this.#nftables.write(commands);
    }
    await this.#nftables.close();
  }

  async detach(): Promise<void> {
    const commands = detachCommands(await this.#table(), this.#layout);
    if (commands !== undefined) await this.#nftables.write(commands);
    await this.#nftables.close();
    this.#attached = false;
  }

  /** What is to be made, from what is known of the kernel. */
  #plan(): void {
    this.#layout = layoutOf(this.#config, this.#context.protect, this.#guardUntil, this.#sockets);
    this.#printed = written(this.#layout);
  }

  async #writeAttach(before: Table | undefined, kept: readonly Lease[]): Promise<void> {
    const write = () => this.#nftables.write(attachCommands(before, this.#layout, kept, this.#context.clock.now()));
    try {
      await write();
    } catch (error) {
      if (!this.#sockets) throw error;
      this.#sockets = false;
      this.#plan();
      await write().catch((again: unknown) => {
        // It was not for that.
        this.#sockets = true;
        this.#plan();
        throw again;
      });
      this.#context.log.warn(
        { error: messageOf(error) },
        "the kernel lacks nft_socket: connections that stood before it tracked any may hang until the server says something",
      );
    }
  }

  async #write(change: FirewallChange): Promise<void> {
    const now = this.#context.clock.now();
    const commands = changeCommands(this.#layout, change, now);
    // All of it may have ended meanwhile.
    if (commands === "") return;
    try {
      await this.#nftables.write(commands);
    } catch (error) {
      if (!/File exists/.test(messageOf(error))) throw error;
      // The kernel holds something that core knows nothing of: this time every element is taken for one.
      await this.#nftables.write(changeCommands(this.#layout, { ...change, before: change.open }, now));
    }
  }

  #refuseHomeless(keys: readonly LeaseKey[]): void {
    const homeless = keys.find(({ address }) => !this.#layout.sets.has(address.family));
    if (homeless === undefined) return;
    throw new WkfsError("FIREWALL_FAILED", `${homeless.address.text} is no address that this table can hold`, {
      hint: "Give it to the firewall of its family.",
    });
  }

  /** The error to throw when the sets were to hold these. */
  #overflow(error: unknown, leases: readonly LeaseKey[]): unknown {
    const most = Math.max(
      ...[...this.#layout.sets.keys()].map(
        (family) => leases.filter(({ address }) => address.family === family).length,
      ),
    );
    return most > this.#layout.size ? full(`no room for ${leases.length} leases: ${messageOf(error)}`) : error;
  }

  async #absent(sample: readonly LeaseKey[]): Promise<LeaseKey[]> {
    const mine = sample.filter(({ address }) => this.#layout.sets.has(address.family));
    const elements = mine.map((key) => ({ set: this.#layout.sets.get(key.address.family)!, element: elementOf(key) }));
    const held = await this.#nftables.holds(this.#layout.table, elements);
    return mine.filter((_, index) => held[index] !== true);
  }

  async #leases(): Promise<KernelLease[]> {
    return (await Promise.all([...this.#layout.sets.values()].map((set) => this.#read(set)))).flat();
  }

  async #read(set: string): Promise<KernelLease[]> {
    const reading = await this.#nftables.readSet(this.#layout.table, set);
    return reading === undefined ? [] : parseElements(reading.json, this.#context.clock.now() - reading.age);
  }

  async #table(): Promise<Table | undefined> {
    const text = await this.#nftables.describe(this.#layout.table);
    return text === undefined ? undefined : parseTable(text);
  }

  /** What the administrator has is theirs to make and to remove. */
  #refuseForeign(table: Table | undefined): void {
    const { caller, table: name } = this.#layout;
    const where = `the table ${name.family} ${name.name}`;
    const [foreign] = foreignSets(table, this.#layout);
    if (foreign !== undefined) {
      throw new WkfsError("FIREWALL_FAILED", `there is a set ${foreign} of another kind in ${where}`, {
        hint: `Give wkfs another one with \`name:\` in the configuration, or remove it with: nft delete set ${name.family} ${name.name} ${foreign}`,
      });
    }
    if ("hook" in caller) return;
    if (table?.iptables === true) {
      // iptables-save prints our rule without its match, as one that accepts everything.
      throw new WkfsError("FIREWALL_FAILED", `${where} is managed by iptables, which would misread our rules`, {
        hint: "Use the firewalls iptables and ip6tables on this host, or name a chain of native nftables with `parent:`.",
      });
    }
    if (table?.chains.has(caller.chain) === true) return;
    throw new WkfsError("FIREWALL_FAILED", `there is no chain ${caller.chain} in ${where}`, {
      hint: "Name the chain that filters incoming packets with `parent:` in the configuration; `nft list chains` shows all. `mode: guard` needs none.",
    });
  }

  #missing(table: Table | undefined): string[] {
    return missingFrom(table, this.#layout, this.#printed);
  }
}

/** A lease that only the kernel knows, to be written again. */
function asLease({ deadline = 0, ...key }: KernelLease): Lease {
  return { ...key, client: "", openedAt: 0, deadline };
}

/** The kernel reports each refusal with what was refused; thousands of them are more than nft can hear. */
function beyondHearing(error: unknown): boolean {
  return /No buffer space available/.test(messageOf(error));
}
