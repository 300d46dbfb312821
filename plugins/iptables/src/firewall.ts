import {
  type AttachOptions,
  type Firewall,
  type FirewallAttached,
  type FirewallCapabilities,
  type FirewallChange,
  type FirewallCheck,
  type FirewallState,
  type PluginContext,
  type ReleaseOptions,
  WkfsError,
  messageOf,
} from "@wkfs/core";
import type { Family, IptablesConfig } from "./config.ts";
import { type LeaseTable, MAX_TIMEOUT, RuleLeases, SetLeases } from "./leases.ts";
import type { Netfilter } from "./netfilter.ts";
import {
  type Ruleset,
  attachTransaction,
  chainRules,
  detachTransaction,
  missingFrom,
  openChain,
  parseRuleset,
  putBackTransaction,
} from "./ruleset.ts";

/**
 * A chain of ours in the administrator's filter table, and the leases in a set that one of its rules looks
 * into. Without sets the leases are rules of a second chain, and core ends them.
 */
export class IptablesFirewall implements Firewall {
  readonly #family: Family;
  readonly #configured: IptablesConfig;
  readonly #context: PluginContext;
  readonly #netfilter: Netfilter;
  #sets: boolean;
  #guardUntil: number | undefined;
  /** Whether the kernel finds the socket of a packet; until it refuses. */
  #sockets = true;

  private constructor(
    family: Family,
    config: IptablesConfig,
    context: PluginContext,
    netfilter: Netfilter,
    sets: boolean,
  ) {
    this.#family = family;
    this.#configured = config;
    this.#context = context;
    this.#netfilter = netfilter;
    this.#sets = sets;
  }

  /** Asks the host whether it has sets; changes nothing. */
  static async create(
    family: Family,
    config: IptablesConfig,
    context: PluginContext,
    netfilter: Netfilter,
  ): Promise<IptablesFirewall> {
    const sets = config.ipset !== "never" && (await netfilter.hasSets());
    if (!sets && config.ipset === "always") {
      throw new WkfsError(
        "HOST_UNSUPPORTED",
        "the configuration says `ipset: always`, and ipset does not run on this host",
        {
          hint: "apt-get install ipset; inside a container the kernel's modules ip_set and xt_set must be there.",
        },
      );
    }
    return new IptablesFirewall(family, config, context, netfilter, sets);
  }

  get capabilities(): FirewallCapabilities {
    return {
      families: [this.#family],
      expiry: this.#sets ? "kernel" : "core",
      maxTimeout: MAX_TIMEOUT,
      prefixes: false,
      guardUntil: true,
      counters: this.#sets && this.#configured.counters,
      // Leases of a knock last whole seconds; with those that are written again, core sees how much too long.
      ...(this.#sets ? { resolution: 1000, step: 1000, lanes: 2 } : { resolution: 1 }),
    };
  }

  async attach({ guardUntil }: AttachOptions = {}): Promise<FirewallAttached> {
    this.#guardUntil = guardUntil;
    const empty = this.#sets && (await this.#attachSet()) === 0;
    if (!this.#sets) {
      this.#context.log.warn(
        { chain: this.#config.chain },
        "leases are plain rules, because this host has no ipset: if the daemon crashes, open ports stay open until it is started again; apt-get install ipset",
      );
    }
    const ruleset = await this.#ruleset();
    if (this.#missing(ruleset).length > 0) await this.#attachChains(ruleset);
    return { empty };
  }

  apply(change: FirewallChange): Promise<void> {
    const foreign = [...change.open, ...change.close].find(({ address }) => address.family !== this.#family);
    if (foreign !== undefined) {
      return Promise.reject(
        new WkfsError("FIREWALL_FAILED", `${foreign.address.text} is no ${this.#family} address`, {
          hint: "Give it to the firewall of its family.",
        }),
      );
    }
    if (change.open.length + change.close.length === 0) return Promise.resolve();
    return this.#leases.apply(change);
  }

  async check(): Promise<FirewallCheck> {
    const missing = this.#missing(await this.#ruleset());
    if (!this.#sets) return { missing, count: (await this.#leases.list(0)).length };
    const set = await this.#netfilter.describeSet(this.#config.set);
    if (set === undefined) missing.push(`the set ${this.#config.set} is gone`);
    return { missing, count: set?.count };
  }

  async list(): Promise<FirewallState> {
    const { missing } = await this.check();
    const now = this.#context.clock.now();
    const readable = !this.#sets || !missing.some((what) => what.includes(`set ${this.#config.set} is gone`));
    return { missing, leases: readable ? await this.#leases.list(now) : [] };
  }

  async release({ successor = false }: ReleaseOptions = {}): Promise<void> {
    if (this.#config.mode === "allow" && !successor) {
      const text = putBackTransaction(await this.#ruleset(), this.#config);
      if (text !== undefined) await this.#netfilter.restore(text);
    }
    await this.#netfilter.close();
  }

  async detach(): Promise<void> {
    const text = detachTransaction(await this.#ruleset(), this.#config);
    if (text !== undefined) await this.#netfilter.restore(text);
    await this.#netfilter.close();
    // A set of another kind under that name is somebody else's.
    if ((await this.#netfilter.hasSets()) && (await this.#netfilter.describeSet(this.#config.set))?.fits === true)
      await this.#netfilter.destroySet(this.#config.set);
  }

  /** For a limited time rules of ours close, before all others, and none of theirs is out: nobody would put it back. */
  get #config(): IptablesConfig {
    return this.#guardUntil === undefined ? this.#configured : { ...this.#configured, position: 1, takeOut: [] };
  }

  get #leases(): LeaseTable {
    return this.#sets
      ? new SetLeases(this.#netfilter, this.#config.set, () => this.#context.clock.now())
      : new RuleLeases(this.#netfilter, openChain(this.#config));
  }

  get #rules(): string[] {
    return chainRules(this.#config, this.#context.protect, this.#sets, this.#guardUntil, this.#sockets);
  }

  /** Gives the number of its elements; undefined where there are no sets after all. */
  async #attachSet(): Promise<number | undefined> {
    const { set, size, counters, ipset } = this.#config;
    try {
      await this.#netfilter.createSet(set, size, counters);
    } catch (error) {
      if (ipset === "always") throw error;
      this.#context.log.warn(
        { set, error: error instanceof Error ? error.message : String(error) },
        "the kernel refuses sets",
      );
      this.#sets = false;
      return undefined;
    }
    const description = await this.#netfilter.describeSet(set);
    if (description?.fits === true) return description.count;
    throw new WkfsError("FIREWALL_FAILED", `there is a set ${set} of another kind on this host`, {
      hint: `Give wkfs another one with \`set:\` in the configuration, or remove it with: ipset destroy ${set}`,
    });
  }

  async #attachChains(ruleset: Ruleset): Promise<void> {
    const restore = () => this.#netfilter.restore(attachTransaction(ruleset, this.#config, this.#rules, this.#sets));
    try {
      await restore();
    } catch (error) {
      if (!this.#sockets) throw error;
      this.#sockets = false;
      await restore().catch((again: unknown) => {
        // It was not for that.
        this.#sockets = true;
        throw again;
      });
      this.#context.log.warn(
        { error: messageOf(error) },
        "the kernel lacks xt_socket: connections that stood before it tracked any may hang until the server says something",
      );
    }
  }

  async #ruleset(): Promise<Ruleset> {
    return parseRuleset(await this.#netfilter.save());
  }

  #missing(ruleset: Ruleset): string[] {
    return missingFrom(ruleset, this.#config, this.#rules, this.#sets);
  }
}
