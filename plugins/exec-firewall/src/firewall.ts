import {
  type Firewall,
  type FirewallCapabilities,
  type FirewallChange,
  type FirewallCheck,
  type FirewallState,
  type KernelLease,
  type PluginContext,
  WkfsError,
  formatAddress,
  inverse,
  isPortNumber,
  leaseId,
  messageOf,
} from "@wkfs/core";
import { Command } from "./command.ts";
import type { ExecFirewallConfig } from "./config.ts";
import { type Change, type Operation, checkSchema, foreigner, leaseOf, requestText, stateSchema } from "./messages.ts";

/** Milliseconds for what is not done in between two knocks; core waits a minute. */
const WHOLE_LIMIT = 30_000;
/** Milliseconds that a change and its undoing may take together; core gives up after ten seconds. */
const BOTH_LIMIT = 9_500;
const NOTHING: Change = { open: [], close: [] };

/**
 * Leases in some packet filter that a command of the administrator's writes. Between two calls nothing runs, and nothing is
 * remembered here: the other side is asked.
 */
export class ExecFirewall implements Firewall {
  readonly capabilities: FirewallCapabilities;
  readonly #config: ExecFirewallConfig;
  readonly #context: PluginContext;
  readonly #command: Command;
  /** When it was found that all stands, by the steady clock. */
  #stoodAt = Number.NEGATIVE_INFINITY;

  constructor(config: ExecFirewallConfig, context: PluginContext) {
    this.#config = config;
    this.#context = context;
    this.#command = new Command(config.command);
    const { families, expiry, maxTimeout } = config;
    this.capabilities = { families, expiry, maxTimeout, resolution: 1000, prefixes: false };
  }

  async attach(): Promise<void> {
    this.#stoodAt = Number.NEGATIVE_INFINITY;
    await this.#run("attach", NOTHING, WHOLE_LIMIT);
  }

  /**
   * Whether the command is all or nothing is its author's business: after a failure, and a command that was killed is one, it is
   * told to take the whole change back, and every step of that may already be so.
   */
  async apply(change: FirewallChange): Promise<void> {
    this.#refuseUnfit(change);
    if (change.open.length + change.close.length === 0) return;
    const { clock } = this.#context;
    const start = clock.steady();
    try {
      await this.#run("apply", change, this.#config.timeout * 1000);
    } catch (error) {
      this.#stoodAt = Number.NEGATIVE_INFINITY;
      const left = BOTH_LIMIT - (clock.steady() - start);
      await this.#run("apply", inverse(change), Math.max(1000, Math.round(left))).catch((reason: unknown) => {
        this.#context.log.error({ error: messageOf(reason) }, "a change that failed could not be taken back");
      });
      throw error;
    }
  }

  /** A command may take a second, and knocks wait: it is asked only now and then. Core reads everything each minute. */
  async check(): Promise<FirewallCheck> {
    const { clock } = this.#context;
    const { timeout, checkEvery } = this.#config;
    if (clock.steady() - this.#stoodAt < checkEvery * 1000) return { missing: [], count: undefined };
    const request = this.#request("check", NOTHING);
    const { missing, count, leases } = await this.#command.ask("check", request, timeout * 1000, checkSchema);
    this.#stoodAt = missing.length === 0 ? clock.steady() : Number.NEGATIVE_INFINITY;
    return { missing, count: count ?? leases?.length };
  }

  async list(): Promise<FirewallState> {
    const request = this.#request("list", NOTHING);
    const { missing, leases } = await this.#command.ask("list", request, WHOLE_LIMIT, stateSchema);
    const now = this.#context.clock.now();
    return { missing, leases: this.#checked(leases.map((lease) => leaseOf(lease, now))) };
  }

  /** Nothing is held between two calls. */
  async release(): Promise<void> {}

  async detach(): Promise<void> {
    await this.#run("detach", NOTHING, WHOLE_LIMIT);
  }

  async #run(op: Operation, change: Change, limit: number): Promise<void> {
    await this.#command.run(op, this.#request(op, change), limit);
  }

  #request(op: Operation, change: Change): string {
    return requestText(op, this.#context.protect, change, this.#context.clock.now());
  }

  #refuseUnfit({ open, close }: FirewallChange): void {
    const other = foreigner([...open, ...close], this.#config.families);
    const odd = open.find(({ port }) => !isPortNumber(port.number));
    if (other === undefined && odd === undefined) return;
    const what =
      other === undefined ? `${leaseId(odd!)} is no port` : `${formatAddress(other.address)} is no address for it`;
    throw new WkfsError("FIREWALL_FAILED", `exec-firewall: ${what}`, { hint: "Name its family in `families`." });
  }

  #checked(leases: readonly KernelLease[]): readonly KernelLease[] {
    const other = foreigner(leases, this.#config.families);
    if (other === undefined) return leases;
    const what = `exec-firewall: the command lists ${leaseId(other)}, of a family that it was not told of`;
    throw new WkfsError("FIREWALL_FAILED", what, { hint: "Name its family in `families`." });
  }
}
