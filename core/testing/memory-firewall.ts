import type {
  AttachOptions,
  Firewall,
  FirewallAttached,
  FirewallCapabilities,
  FirewallChange,
  FirewallCheck,
  FirewallState,
} from "../src/contracts/firewall.ts";
import type { Clock } from "../src/contracts/plugin.ts";
import { WkfsError } from "../src/model/errors.ts";
import { type KernelLease, type Lease, leaseId } from "../src/model/lease.ts";
import { isPortNumber } from "../src/model/port.ts";

/** What a test may set of the fake's kernel. */
export interface MemoryFirewallOptions {
  readonly clock: Clock;
  readonly capabilities?: Partial<FirewallCapabilities>;
  /** The kernel that it writes, for several over one; by itself one of its own. */
  readonly kernel?: MemoryKernel;
  /** Which part of the kernel is its own: those of another name leave it alone. */
  readonly chain?: string;
}

/** What one chain of a kernel in memory holds. */
export interface MemoryChain {
  readonly leases: Map<string, KernelLease>;
  /** Hooks that are gone. */
  missing: string[];
  /** Until when the kernel guards, in ms since the epoch; undefined: for ever. */
  guardUntil: number | undefined;
}

/** A kernel in memory, which outlives the firewalls over it. */
export class MemoryKernel {
  readonly #chains = new Map<string, MemoryChain>();

  chain(name: string): MemoryChain {
    const known = this.#chains.get(name) ?? { leases: new Map(), missing: ["everything"], guardUntil: undefined };
    this.#chains.set(name, known);
    return known;
  }

  /** Everything that it holds, as text. */
  snapshot(): string {
    const made = [...this.#chains].filter(([, { leases, missing }]) => leases.size > 0 || missing[0] !== "everything");
    return made
      .map(
        ([name, { leases, missing, guardUntil }]) =>
          `${name}: ${missing.join()}; ${guardUntil}; ${[...leases.keys()].join()}`,
      )
      .join("\n");
  }
}

/**
 * A packet filter in memory: keeps what a kernel would keep, ends leases by the clock, counts time left in whole
 * steps, refuses what a kernel refuses and when it is told to. What is public beyond the contract is the kernel's side, for tests.
 */
export class MemoryFirewall implements Firewall {
  readonly capabilities: FirewallCapabilities;
  /** Every change that was accepted, in order. */
  readonly applied: FirewallChange[] = [];
  /** Called before each change: throw to refuse it, or return a promise to hold it. */
  onApply: (change: FirewallChange) => void | Promise<void> = () => {};
  attached = 0;
  released = false;
  readonly #clock: Clock;
  readonly #chain: MemoryChain;

  constructor({ clock, capabilities, kernel = new MemoryKernel(), chain = "wkfs" }: MemoryFirewallOptions) {
    this.#clock = clock;
    this.#chain = kernel.chain(chain);
    this.capabilities = {
      families: ["ipv4", "ipv6"],
      expiry: "kernel",
      maxTimeout: 2_147_483,
      resolution: 1000,
      prefixes: false,
      guardUntil: true,
      ...capabilities,
    };
  }

  /** What the kernel holds, ended leases among it until they are looked at. */
  get kernel(): Map<string, KernelLease> {
    return this.#chain.leases;
  }

  /** Hooks that are gone; `attach` makes them again. */
  get missing(): string[] {
    return this.#chain.missing;
  }

  set missing(missing: string[]) {
    this.#chain.missing = missing;
  }

  /** Until when the kernel guards, in ms since the epoch; undefined: for ever. */
  get guardUntil(): number | undefined {
    return this.#chain.guardUntil;
  }

  async attach({ guardUntil }: AttachOptions = {}): Promise<FirewallAttached | void> {
    this.#chain.guardUntil = guardUntil;
    this.missing = [];
    this.attached += 1;
  }

  async apply(change: FirewallChange): Promise<void> {
    if (this.missing.length > 0) throw new WkfsError("FIREWALL_FAILED", "the set does not exist");
    await this.onApply(change);
    for (const lease of change.open) this.#refuseForeign(lease);
    const now = this.#clock.now();
    const step = this.capabilities.resolution;
    for (const key of change.close) this.kernel.delete(leaseId(key));
    for (const { address, port, deadline } of change.open) {
      const ends = now + Math.ceil((deadline - now) / step) * step;
      this.kernel.set(
        leaseId({ address, port }),
        this.capabilities.expiry === "kernel" ? { address, port, deadline: ends } : { address, port },
      );
    }
    this.applied.push(change);
  }

  async check(): Promise<FirewallCheck> {
    return { missing: this.missing, count: this.#standing().length };
  }

  async list(): Promise<FirewallState> {
    return { missing: this.missing, leases: this.#standing() };
  }

  async release(): Promise<void> {
    this.released = true;
  }

  async detach(): Promise<void> {
    this.missing = ["everything"];
    this.#chain.guardUntil = undefined;
    this.kernel.clear();
  }

  #refuseForeign({ address, port }: Lease): void {
    if (this.capabilities.families.includes(address.family) && isPortNumber(port.number)) return;
    throw new WkfsError("FIREWALL_FAILED", `the kernel does not take ${leaseId({ address, port })}`);
  }

  #standing(): KernelLease[] {
    const now = this.#clock.now();
    return [...this.kernel.values()].filter(({ deadline }) => deadline === undefined || deadline > now);
  }
}
