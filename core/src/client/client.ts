import type { Clock } from "../contracts/plugin.ts";
import { Role, spent } from "../lifecycle/role.ts";
import { WkfsError } from "../model/errors.ts";
import { type Port, type ProtectedPorts, formatPort, includesPort } from "../model/port.ts";
import { closeRequest, readClosedReply } from "../protocol/close-messages.ts";
import type { Codec } from "../protocol/codec.ts";
import {
  type ServerInfo,
  TIME_WINDOW,
  infoRequest,
  openRequest,
  readInfoReply,
  readOpenReply,
} from "../protocol/messages.ts";
import { encodeFormField } from "../protocol/v1.ts";
import type { Post, Response } from "./http.ts";
import { knowsNot, refusedWith } from "./refusal.ts";

export type { ServerInfo };

export interface ClientParts {
  readonly url: string;
  readonly codec: Codec;
  readonly post: Post;
  readonly clock: Clock;
  /** Ports to ask for when a call names none; undefined: all that the server offers. */
  readonly ports: ProtectedPorts | undefined;
  /** Seconds to ask for when a call names none; undefined: as long as the server allows. */
  readonly maxTime: number | undefined;
  readonly signal: AbortSignal | undefined;
}

/** What a knock asks for. */
export interface KnockRequest {
  /** Instead of the configured ones. */
  readonly ports?: ProtectedPorts | undefined;
  /** Seconds, instead of the configured ones; the server may allow less. */
  readonly time?: number | undefined;
}

/** What became of a knock. */
export interface KnockResult {
  /** Our address as the server saw it: the ports are open for it. */
  readonly ip: string;
  /** What was asked for, and whether it is open now. At least one is. */
  readonly ports: readonly { readonly port: Port; readonly opened: boolean }[];
  /** When the first of them shuts, in seconds since the epoch, by the server's clock. */
  readonly expires: number;
  /** Seconds that were asked for: they stay open for so long from the answer on, whatever the clocks say. */
  readonly lasts: number;
  /** What the server offers to these keys. */
  readonly server: ServerInfo;
}

/** What was closed before its deadline. */
export interface CloseResult {
  /** Our address as the server saw it. */
  readonly ip: string;
  /** None when none was open. */
  readonly closed: readonly Port[];
}

/** What a started client tells. `time` is in milliseconds since the epoch, `renewIn` and `retryIn` in milliseconds from then. */
export type ClientEvent =
  /** Ports are open that were not, as far as this client knows: at first, and again after a failure. */
  | { readonly type: "opened"; readonly time: number; readonly result: KnockResult; readonly renewIn: number }
  /** Ports that were open stay so for longer. */
  | { readonly type: "renewed"; readonly time: number; readonly result: KnockResult; readonly renewIn: number }
  /** A try failed, with `SERVER_UNREACHABLE` or `KNOCK_REFUSED`; open ports stay so until their deadline. */
  | { readonly type: "failed"; readonly time: number; readonly error: unknown; readonly retryIn: number };

/** Milliseconds before the second try; doubled each time up to the most. */
const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 60_000;

/**
 * The knocking side. Holds keys and an address of a server, and no connection. `knock` and `info` need no start; a started client
 * keeps ports open until it is stopped, and tells `opened`, `renewed` and `failed`.
 */
export class Client extends Role<ClientEvent> {
  readonly #parts: ClientParts;
  #keeping: Promise<void> | undefined;

  /** @internal */
  constructor(parts: ClientParts) {
    super(parts.signal);
    this.#parts = parts;
  }

  /** Asks what the server offers to these keys; opens nothing. Throws `SERVER_UNREACHABLE`, `KNOCK_REFUSED`; `STATE_INVALID` once stopped. */
  async info(signal?: AbortSignal): Promise<ServerInfo> {
    return readInfoReply(await this.#exchange(infoRequest(this.#seconds()), signal));
  }

  /**
   * One knock. Resolves when at least one port is open, and says which. Throws `SERVER_UNREACHABLE`, and
   * `KNOCK_REFUSED` when nothing was opened; `STATE_INVALID` once stopped.
   */
  async knock(request: KnockRequest = {}, signal?: AbortSignal): Promise<KnockResult> {
    return await this.#open(await this.info(signal), request, signal);
  }

  /**
   * Asks to close ports before their deadline: those that are named, or all that these keys have open for this address.
   * Connections that stand are not cut. Throws `SERVER_UNREACHABLE`, `KNOCK_REFUSED`; `CLOSE_UNSUPPORTED` by a server that cannot
   * do it; `STATE_INVALID` once stopped. A client that keeps ports open would open them again: stop it first, and use another.
   */
  async closePorts(ports?: ProtectedPorts, signal?: AbortSignal): Promise<CloseResult> {
    const { ip, maxTime } = await this.info(signal);
    const answer = await this.#send(closeRequest(this.#seconds(), ip, ports && portsOf(ports)), signal);
    if (!knowsNot(answer)) return { ip, closed: readClosedReply(this.#unseal(answer)) };
    throw new WkfsError("CLOSE_UNSUPPORTED", "this server cannot close ports before their deadline", {
      hint: `They shut by themselves, ${maxTime} s after the last knock at the latest.`,
    });
  }

  /**
   * Resolves when ports are open. Until then it tries again as it does later: each failure is told. When it is stopped
   * before, it rejects with what the last try failed with. @internal
   */
  protected override async up(): Promise<void> {
    const first = Promise.withResolvers<void>();
    let failure: unknown = spent("it was stopped before it had knocked");
    this.#keeping = this.#keepOpen((event) => {
      if (event.type === "failed") failure = event.error;
      else first.resolve();
      this.tell(event);
    });
    await Promise.race([first.promise, this.#keeping.then(() => Promise.reject(failure))]);
  }

  /** The ports shut on their deadline. @internal */
  protected override async down(): Promise<void> {
    await this.#keeping;
  }

  /**
   * Keeps ports open until the client is stopped: renews at a third of the time that was given, a little early and never to the
   * beat; after a failure tries again with growing pauses.
   */
  async #keepOpen(tell: (event: ClientEvent) => void): Promise<void> {
    const { clock } = this.#parts;
    const signal = this.ending;
    let failures = 0;
    let server: ServerInfo | undefined;
    let open = false;
    while (!signal.aborted) {
      let pause: number;
      try {
        server ??= await this.info();
        const result = await this.#open(server, {}, undefined);
        failures = 0;
        pause = (this.#time(server, {}) * 1000 * (0.9 + 0.1 * Math.random())) / 3;
        tell({ type: open ? "renewed" : "opened", time: clock.now(), result, renewIn: pause });
        open = true;
      } catch (error) {
        if (signal.aborted) return;
        // Our address may be another by now: ask anew.
        server = undefined;
        open = false;
        failures += 1;
        pause = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (failures - 1)) * (0.5 + 0.5 * Math.random());
        tell({ type: "failed", time: clock.now(), error, retryIn: pause });
      }
      await this.#wait(pause, signal);
    }
  }

  async #open(server: ServerInfo, request: KnockRequest, signal: AbortSignal | undefined): Promise<KnockResult> {
    const asked = portsOf(request.ports ?? this.#parts.ports ?? server);
    // A PHP server answers success for ports that it does not offer; so these are not even asked for.
    const offered = asked.filter((port) => includesPort(server, port));
    if (offered.length === 0) throw nothingOffered(asked);
    const time = this.#time(server, request);
    const ts = this.#seconds();
    const reply = readOpenReply(await this.#exchange(openRequest(ts, server.ip, offered, time), signal));
    // Nothing ties an answer to its request: one that was overheard earlier shows by its time.
    if (reply.expires < ts - TIME_WINDOW) {
      throw new WkfsError("KNOCK_REFUSED", "the server's answer is one of long ago", {
        hint: "Check the clocks; over plain HTTP somebody may be replaying answers.",
      });
    }
    const opened = reply.opened ?? offered;
    const isOpen = (port: Port) => opened.some((other) => formatPort(other) === formatPort(port));
    if (!asked.some(isOpen)) throw nothingOffered(asked);
    return {
      ip: server.ip,
      ports: asked.map((port) => ({ port, opened: isOpen(port) })),
      expires: reply.expires,
      lasts: time,
      server,
    };
  }

  #time(server: ServerInfo, request: KnockRequest): number {
    return Math.min(request.time ?? this.#parts.maxTime ?? server.maxTime, server.maxTime);
  }

  #seconds(): number {
    return Math.floor(this.#parts.clock.now() / 1000);
  }

  async #exchange(payload: Uint8Array, signal: AbortSignal | undefined): Promise<Uint8Array> {
    return this.#unseal(await this.#send(payload, signal));
  }

  async #send(payload: Uint8Array, signal: AbortSignal | undefined): Promise<Response> {
    const { codec, post } = this.#parts;
    if (this.ending.aborted) throw spent("it was stopped");
    const end = signal === undefined ? this.ending : AbortSignal.any([this.ending, signal]);
    return await post(`data=${encodeFormField(codec.seal(payload))}`, end);
  }

  #unseal(answer: Response): Uint8Array {
    const { host } = new URL(this.#parts.url);
    if (answer.status !== 200) throw refusedWith(answer, host, this.#parts.clock.now());
    const opened = this.#parts.codec.open(answer.body);
    if (opened !== undefined) return opened;
    throw new WkfsError("KNOCK_REFUSED", `what ${host} answered was not sealed with our keys`, {
      hint: "Check that the URL leads to the gateway and that both sides have the same key file.",
    });
  }

  #wait(milliseconds: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        cancel();
        signal.removeEventListener("abort", done);
        resolve();
      };
      const cancel = this.#parts.clock.setTimer(milliseconds, done);
      signal.addEventListener("abort", done, { once: true });
    });
  }
}

function portsOf({ tcp, udp }: ProtectedPorts): Port[] {
  return [
    ...tcp.map((number) => ({ protocol: "tcp", number }) as const),
    ...udp.map((number) => ({ protocol: "udp", number }) as const),
  ];
}

function nothingOffered(asked: readonly Port[]): WkfsError {
  return new WkfsError(
    "KNOCK_REFUSED",
    `the server offers none of ${asked.map(formatPort).join(", ") || "no ports at all"} (no_ports)`,
    {
      hint: "Ask `wkfs client info` which ports the server offers to these keys.",
    },
  );
}
