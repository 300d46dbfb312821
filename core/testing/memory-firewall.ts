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
import { type KernelLease, leaseId } from "../src/model/lease.ts";

/** What a test may set of the fake's kernel. */
export interface MemoryFirewallOptions {
  readonly clock: Clock;
  readonly capabilities?: Partial<FirewallCapabilities>;
}

/**
 * A packet filter in memory: keeps what a kernel would keep, ends leases by the clock, counts time left in whole
 * steps, refuses when it is told to. What is public beyond the contract is the kernel's side, for tests.
 */
export class MemoryFirewall implements Firewall {
  readonly capabilities: FirewallCapabilities;
  /** What the kernel holds, ended leases among it until they are looked at. */
  readonly kernel = new Map<string, KernelLease>();
  /** Hooks that are gone; `attach` makes them again. */
  missing: string[] = ["everything"];
  /** Every change that was accepted, in order. */
  readonly applied: FirewallChange[] = [];
  /** Called before each change: throw to refuse it, or return a promise to hold it. */
  onApply: (change: FirewallChange) => void | Promise<void> = () => {};
  attached = 0;
  /** Until when the kernel guards, in ms since the epoch; undefined: for ever. */
  guardUntil: number | undefined;
  released = false;
  readonly #clock: Clock;

  constructor({ clock, capabilities }: MemoryFirewallOptions) {
    this.#clock = clock;
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

  async attach({ guardUntil }: AttachOptions = {}): Promise<FirewallAttached | void> {
    this.guardUntil = guardUntil;
    this.missing = [];
    this.attached += 1;
  }

  async apply(change: FirewallChange): Promise<void> {
    if (this.missing.length > 0) throw new WkfsError("FIREWALL_FAILED", "the set does not exist");
    await this.onApply(change);
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
    this.kernel.clear();
  }

  #standing(): KernelLease[] {
    const now = this.#clock.now();
    return [...this.kernel.values()].filter(({ deadline }) => deadline === undefined || deadline > now);
  }
}
