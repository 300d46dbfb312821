import {
  type Notification,
  type Notifier,
  type PluginContext,
  WkfsError,
  messageOf as reasonOf,
  singleLine,
} from "@wkfs/core";
import type { SyslogConfig } from "./config.ts";
import { entriesOf } from "./entries.ts";
import { writeToJournal, writeToSocket } from "./logger.ts";
import { messageOf } from "./message.ts";
import { sendDatagrams, sendStream } from "./network.ts";

/**
 * Most entries of one notification. To journald each is a process of its own, of 4 ms; a datagram to another host is dropped in
 * silence when its buffer is full, which by itself holds some 160 of them.
 */
const MOST = { journald: 200, udp: 100, socket: 10_000, tcp: 10_000, tls: 10_000 } as const;

/** What is read, or fixed, before it begins. */
export interface Surroundings {
  /** PEM certificates. */
  readonly ca: string | undefined;
  /** The socket of journald. */
  readonly journal: string;
}

/** One log entry a lease or fault, in the log of this host or of another. */
export class SyslogNotifier implements Notifier {
  readonly #config: SyslogConfig;
  readonly #surroundings: Surroundings;
  readonly #context: PluginContext;
  readonly #closed = new AbortController();

  constructor(config: SyslogConfig, surroundings: Surroundings, context: PluginContext) {
    this.#config = config;
    this.#surroundings = surroundings;
    this.#context = context;
  }

  async notify(notification: Notification, signal: AbortSignal): Promise<void> {
    const { timeout } = this.#config;
    const tooLong = AbortSignal.timeout(timeout * 1000);
    const end = AbortSignal.any([signal, this.#closed.signal, this.#context.signal, tooLong]);
    try {
      end.throwIfAborted();
      await this.#write(notification, end);
    } catch (error) {
      const where = this.#where();
      if (!end.aborted) {
        throw failed(
          singleLine(`${where}: ${reasonOf(error)}`),
          "Check `to` of syslog, and that the log's daemon runs.",
        );
      }
      throw end.reason === tooLong.reason
        ? failed(
            `${where}: no end after ${timeout} s`,
            "See whether the log's daemon reads, and closes a connection that was ended.",
          )
        : failed(`${where}: broken off`, "It is tried again.");
    }
  }

  async close(): Promise<void> {
    this.#closed.abort();
  }

  async #write(notification: Notification, end: AbortSignal): Promise<void> {
    const { to } = this.#config;
    const { ca, journal } = this.#surroundings;
    const host = singleLine(notification.host);
    const entries = entriesOf(notification, MOST[to.kind]);
    const messages = () => entries.map((entry) => messageOf(entry, host, this.#config));
    switch (to.kind) {
      case "journald":
        return await writeToJournal(journal, host, entries, this.#config, end);
      case "socket":
        return await writeToSocket(to.path, entries, this.#config, end);
      case "udp":
        return await sendDatagrams(to, messages(), end, this.#context.clock);
      case "tcp":
      case "tls":
        return await sendStream(to, messages(), this.#config, ca, end);
    }
  }

  #where(): string {
    const { to } = this.#config;
    return to.kind === "journald" ? "journald" : to.kind === "socket" ? to.path : `${to.kind}://${to.host}:${to.port}`;
  }
}

function failed(text: string, hint: string): WkfsError {
  return new WkfsError("NOTIFY_FAILED", text, { hint });
}
