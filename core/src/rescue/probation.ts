import { networkInterfaces } from "node:os";
import type { Clock, Logger } from "../contracts/plugin.ts";
import { type Address, networkContains, parseAddress, parseNetwork } from "../model/address.ts";
import { type WkfsError, messageOf } from "../model/errors.ts";
import type { WkfsEvent } from "../model/event.ts";
import { BY_HAND } from "../model/lease.ts";
import { type ActivationRecord, type RecordFile, currentBoot } from "./record.ts";
import { notConfirmed, verdictOn } from "./verdict.ts";

/** Milliseconds between two looks at the record while it is on probation: it may be confirmed or ended without us. */
const LOOK_EVERY = 1000;

const LOOPBACK = [parseNetwork("127.0.0.0/8"), parseNetwork("::1/128")];

/** What a daemon does about its probation. */
export interface ProbationOutcome {
  /** Makes the guard one without an end. */
  readonly confirmed: () => Promise<void>;
  /** Takes the guard down and ends. */
  readonly over: (why: WkfsError) => void;
}

/** A probation, for who asks how the daemon is. */
export interface ProbationReport {
  /** When everything is taken down unless it is confirmed, in ms since the epoch. */
  readonly until: number;
  /** Whether a knock that worked confirms, or the console alone. */
  readonly confirmBy: ActivationRecord["confirmBy"];
}

/**
 * Holds a daemon to what `wkfs activate` wrote down: a guard that nobody has confirmed ends on time. It is the first of three that
 * see to it: the kernel ends the guard by itself (`guardUntil`), and a timer outside of all of this puts everything back.
 */
export class Probation {
  readonly #file: RecordFile;
  readonly #clock: Clock;
  readonly #log: Logger;
  #record: ActivationRecord | undefined;
  /** When it ends, by the steady clock. */
  #ends = Number.POSITIVE_INFINITY;
  #outcome: ProbationOutcome | undefined;
  #cancelTimer: (() => void) | undefined;
  #confirming: Promise<boolean> | undefined;

  constructor(file: RecordFile, clock: Clock, log: Logger) {
    this.#file = file;
    this.#clock = clock;
    this.#log = log;
  }

  /** Until when the kernel is to guard, in ms since the epoch; undefined: for good. */
  get guardUntil(): number | undefined {
    return this.report?.until;
  }

  /** Undefined where nothing is on probation. */
  get report(): ProbationReport | undefined {
    if (this.#record?.stage !== "probation") return undefined;
    const { until, confirmBy } = this.#record;
    return { until, confirmBy };
  }

  /** Why this daemon may not guard, if so. Rejects with `STORE_FAILED` when nobody can know. */
  async begin(): Promise<WkfsError | undefined> {
    this.#record = await this.#file.read();
    const verdict = verdictOn(this.#record, this.#clock.now(), await currentBoot());
    if (verdict.guard === "never") return notConfirmed(verdict.because);
    if (verdict.guard === "for good") return undefined;
    this.#ends = this.#clock.steady() + verdict.left;
    this.#log.warn(
      { seconds: Math.round(verdict.left / 1000), confirmBy: this.#record?.confirmBy },
      "on probation: everything is taken down again unless the guard is confirmed, with `wkfs confirm`",
    );
    return undefined;
  }

  /** From here on its end is seen to. */
  watch(outcome: ProbationOutcome): void {
    this.#outcome = outcome;
    this.#arm();
  }

  stop(): void {
    this.#outcome = undefined;
    this.#cancelTimer?.();
  }

  /**
   * Makes the guard permanent; false where nothing is on probation. Rejects with `NOT_CONFIRMED` when it is too late, and
   * with `STORE_FAILED`, `FIREWALL_FAILED`: the record then says confirmed, and the packet filter is put right later.
   */
  confirm(how: string): Promise<boolean> {
    this.#confirming ??= this.#confirm(how).finally(() => (this.#confirming = undefined));
    return this.#confirming;
  }

  /** A knock from outside that worked shows that its owner can come in. */
  sees(event: WkfsEvent): void {
    if (this.report?.confirmBy !== "knock" || (event.type !== "opened" && event.type !== "renewed")) return;
    const proof = event.leases.find(({ client, address }) => client !== BY_HAND && !isOfThisHost(address));
    if (proof === undefined) return;
    this.confirm(`a knock from ${proof.address.text}`).catch((error: unknown) =>
      this.#log.error({ error: messageOf(error) }, "a knock worked, and yet the guard could not be confirmed"),
    );
  }

  async #confirm(how: string): Promise<boolean> {
    if (this.#record?.stage !== "probation") return false;
    const found = await this.#file.read();
    if (this.#clock.steady() >= this.#ends) throw notConfirmed(`nobody confirmed within ${this.#record.seconds} s`);
    if (found?.id === this.#record.id && found.stage === "probation")
      await this.#file.write({ ...found, stage: "confirmed" });
    else if (found?.id !== this.#record.id || found.stage !== "confirmed")
      throw notConfirmed("somebody else has ended this activation meanwhile");
    await this.#guardForGood(how);
    return true;
  }

  async #guardForGood(how: string): Promise<void> {
    if (this.#record?.stage !== "probation") return;
    this.#record = { ...this.#record, stage: "confirmed" };
    this.#cancelTimer?.();
    this.#log.info({ by: how }, "confirmed: the guard stays");
    await this.#outcome?.confirmed();
  }

  #arm(): void {
    if (this.#outcome === undefined || this.#record?.stage !== "probation") return;
    const wait = Math.max(0, Math.min(LOOK_EVERY, this.#ends - this.#clock.steady()));
    this.#cancelTimer = this.#clock.setTimer(wait, () => void this.#look());
  }

  async #look(): Promise<void> {
    await this.#confirming?.catch(() => {});
    const record = this.#record;
    if (record?.stage !== "probation") return;
    const found = await this.#file.read().catch(() => record);
    if (found?.id === record.id && found.stage === "confirmed") {
      await this.#guardForGood("its record").catch((error: unknown) =>
        this.#log.error({ error: messageOf(error) }, "the packet filter refused to guard for good; it is tried again"),
      );
    } else if (found?.id !== record.id || found.stage !== "probation")
      this.#outcome?.over(notConfirmed("somebody has ended this activation"));
    else if (this.#clock.steady() >= this.#ends)
      this.#outcome?.over(notConfirmed(`nobody confirmed within ${record.seconds} s`));
    else this.#arm();
  }
}

/** A knock that this host made itself proves nothing. */
function isOfThisHost(address: Address): boolean {
  if (LOOPBACK.some((network) => networkContains(network, address))) return true;
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return own.some((one) => parseAddress(one.address).text === address.text);
}
