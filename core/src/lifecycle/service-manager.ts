import { execFile } from "node:child_process";
import type { Logger } from "../contracts/plugin.ts";
import { messageOf } from "../model/errors.ts";

/** Milliseconds that telling the service manager may take. */
const LIMIT = 10_000;

/**
 * Tells systemd how a service is, by the protocol of sd_notify(3). That is a datagram on a Unix socket, which Node cannot send: so
 * systemd-notify(1) of systemd itself does, a process of about a millisecond for each word. The unit needs `NotifyAccess=all`
 * for it. Elsewhere, and under other service managers, it does nothing.
 */
export class ServiceManager {
  readonly #environment: NodeJS.ProcessEnv;
  readonly #log: Logger;
  /** One after the other: what is told last is how it is. */
  #tail: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #over = false;

  constructor(log: Logger, environment: NodeJS.ProcessEnv = process.env) {
    this.#log = log;
    this.#environment = environment;
  }

  /** The service does its work. From now on it must show that it lives, where the unit says so (`WatchdogSec=`). */
  async ready(status: string, alive: () => Promise<void>): Promise<void> {
    await this.#say("READY=1", `STATUS=${status}`);
    this.#watch(alive);
  }

  /** A reload begins; `ready` or `reloaded` ends it. */
  async reloading(): Promise<void> {
    await this.#say("RELOADING=1");
  }

  async reloaded(status: string): Promise<void> {
    await this.#say("READY=1", `STATUS=${status}`);
  }

  /** The service ends, and shows no more that it lives. Idempotent. */
  async stopping(): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    await this.#say("STOPPING=1");
  }

  /**
   * Tells that we live, three times in the time that we have for it, and each time only when `alive` has resolved. Who hangs
   * says nothing, and is started anew.
   */
  #watch(alive: () => Promise<void>): void {
    const limit = Number(this.#environment["WATCHDOG_USEC"] ?? 0) / 1000;
    const { WATCHDOG_PID: whose = String(process.pid) } = this.#environment;
    if (!(limit > 0) || whose !== String(process.pid)) return;
    const round = async (): Promise<void> => {
      await alive();
      if (this.#over) return;
      await this.#say("WATCHDOG=1");
      this.#timer = setTimeout(() => void round().catch(() => {}), limit / 3);
    };
    void round().catch(() => {});
  }

  #say(...words: readonly string[]): Promise<void> {
    if (!this.#environment["NOTIFY_SOCKET"]) return Promise.resolve();
    this.#tail = this.#tail.then(() => this.#tell(words));
    return this.#tail;
  }

  #tell(words: readonly string[]): Promise<void> {
    return new Promise((resolve) => {
      execFile("systemd-notify", [...words], { timeout: LIMIT, env: this.#environment }, (error) => {
        if (error !== null)
          this.#log.error({ words, error: messageOf(error) }, "the service manager could not be told; it may end us");
        resolve();
      });
    });
  }
}
