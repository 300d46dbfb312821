import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { DaemonLoadReply, DaemonLoadRequest } from "../load/daemon-load.ts";
import type { Program } from "../program.ts";
import { LONG, type Site, UDP_PORT } from "../site.ts";
import type { Stage } from "../stage.ts";

const LOAD = fileURLToPath(new URL("../load/daemon-load.ts", import.meta.url));
/** Requests that wait for their answer at the same time. */
const IN_FLIGHT = 2000;
/** Seconds that a lease of a measurement lasts: all have ended before the next one. */
const SHORT = 2;
/** Milliseconds after the last deadline until everything about it is done. */
const AFTER = 700;
/** Where the leases of measurements begin: never one that stands. */
const BURST = 1_000_000;

/** The clients of a daemon: a process that asks it for leases. */
export class Crowd {
  readonly #load: Program;
  #open = 0;
  #next = BURST;
  #endsAt = 0;

  private constructor(load: Program) {
    this.#load = load;
  }

  static async gather(stage: Stage, site: Site): Promise<Crowd> {
    const load = await stage.start([process.execPath, LOAD], { host: site.server });
    await load.ask(site.transport satisfies DaemonLoadRequest);
    return new Crowd(load);
  }

  /** Opens more, until there are so many for the whole run. */
  async fill(count: number): Promise<void> {
    if (count > this.#open) await this.#ask(this.#open, count - this.#open, LONG);
    this.#open = count;
  }

  /** Opens so many for so many seconds. */
  async openFor(count: number, seconds: number): Promise<void> {
    await this.#ask(0, count, seconds);
  }

  /** New leases a second. */
  async open(count: number): Promise<number> {
    await delay(Math.max(0, this.#endsAt + AFTER - Date.now()));
    const first = this.#next;
    this.#next += count;
    const { took } = await this.#ask(first, count, SHORT);
    this.#endsAt = Date.now() + SHORT * 1000;
    return (count / took) * 1000;
  }

  /** Renewals a second, of those that stand. */
  async renew(count: number): Promise<number> {
    await delay(Math.max(0, this.#endsAt + AFTER - Date.now()));
    const { took } = await this.#ask(0, count, LONG);
    return (count / took) * 1000;
  }

  /** The longest wait for an answer, in milliseconds, when one client asks again and again until `until` (ms). */
  async longestWait(until: number): Promise<number> {
    const request = { again: BURST - 1, until, time: LONG, udpPort: UDP_PORT } satisfies DaemonLoadRequest;
    return (await this.#load.ask<DaemonLoadReply>(request)).longest;
  }

  async #ask(first: number, count: number, time: number): Promise<DaemonLoadReply> {
    const request = { first, count, inFlight: IN_FLIGHT, time, udpPort: UDP_PORT } satisfies DaemonLoadRequest;
    return await this.#load.ask<DaemonLoadReply>(request);
  }

  async end(): Promise<void> {
    await this.#load.end();
  }
}
