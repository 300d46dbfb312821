import type { Clock } from "../contracts/plugin.ts";
import { WkfsError } from "../model/errors.ts";
import { type Port, type ProtectedPorts, formatPort, includesPort } from "../model/port.ts";
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
import type { Post } from "./http.ts";

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
}

export interface OpenRequest {
  readonly ports?: ProtectedPorts | undefined;
  /** Seconds. */
  readonly time?: number | undefined;
}

export interface OpenResult {
  /** Our address as the server saw it: the ports are open for it. */
  readonly ip: string;
  /** What was asked for, and whether it is open now. At least one is. */
  readonly ports: readonly { readonly port: Port; readonly opened: boolean }[];
  /** When the first of them shuts, in seconds since the epoch, by the server's clock. */
  readonly expires: number;
  readonly server: ServerInfo;
}

/** What `keepOpen` reports. Times in milliseconds. */
export type KeepOpenReport =
  | { readonly type: "opened"; readonly result: OpenResult; readonly renewIn: number }
  | { readonly type: "failed"; readonly error: unknown; readonly retryIn: number };

/** Milliseconds before the second try; doubled each time up to the most. */
const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 60_000;

/** The knocking side. Holds keys and an address of a server, and no connection. */
export class Client {
  readonly #parts: ClientParts;

  constructor(parts: ClientParts) {
    this.#parts = parts;
  }

  /** Asks what the server offers to these keys. Throws `SERVER_UNREACHABLE`, `KNOCK_REFUSED`. */
  async info(signal?: AbortSignal): Promise<ServerInfo> {
    return readInfoReply(await this.#exchange(infoRequest(this.#seconds()), signal));
  }

  /**
   * One knock. Resolves when at least one port is open, and says which. Throws `SERVER_UNREACHABLE`, and
   * `KNOCK_REFUSED` when nothing was opened.
   */
  async open(request: OpenRequest = {}, signal?: AbortSignal): Promise<OpenResult> {
    return await this.#open(await this.info(signal), request, signal);
  }

  /**
   * Keeps ports open until the signal aborts, then resolves: renews at a third of the time that was given, a
   * little early and never to the beat; after a failure tries again with growing pauses. The ports
   * then shut on their deadline.
   */
  async keepOpen(
    signal: AbortSignal,
    report: (event: KeepOpenReport) => void,
    request: OpenRequest = {},
  ): Promise<void> {
    let failures = 0;
    let server: ServerInfo | undefined;
    while (!signal.aborted) {
      let pause: number;
      try {
        server ??= await this.info(signal);
        const result = await this.#open(server, request, signal);
        failures = 0;
        pause = (this.#time(server, request) * 1000 * (0.9 + 0.1 * Math.random())) / 3;
        report({ type: "opened", result, renewIn: pause });
      } catch (error) {
        if (signal.aborted) return;
        // Our address may be another by now: ask anew.
        server = undefined;
        failures += 1;
        pause = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (failures - 1)) * (0.5 + 0.5 * Math.random());
        report({ type: "failed", error, retryIn: pause });
      }
      await this.#wait(pause, signal);
    }
  }

  async #open(server: ServerInfo, request: OpenRequest, signal: AbortSignal | undefined): Promise<OpenResult> {
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
      server,
    };
  }

  #time(server: ServerInfo, request: OpenRequest): number {
    return Math.min(request.time ?? this.#parts.maxTime ?? server.maxTime, server.maxTime);
  }

  #seconds(): number {
    return Math.floor(this.#parts.clock.now() / 1000);
  }

  async #exchange(payload: Uint8Array, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const { codec, post, url } = this.#parts;
    const { status, body } = await post(`data=${encodeFormField(codec.seal(payload))}`, signal);
    if (status !== 200) throw refusedWith(status, url);
    const opened = codec.open(body);
    if (opened !== undefined) return opened;
    throw new WkfsError("KNOCK_REFUSED", `what ${new URL(url).host} answered was not sealed with our keys`, {
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

const STATUS_HINTS: Record<number, string> = {
  301: "The URL is redirected; give the address that it leads to.",
  302: "The URL is redirected; give the address that it leads to.",
  308: "The URL is redirected; give the address that it leads to.",
  400: "Something between here and the gateway took the request apart; check the URL.",
  403: "Check that both sides have the same key file, that this host's clock is right to 15 seconds, and that no proxy hides our address.",
  404: "The path of the URL is not the gateway's; compare it with gateway.path on the server.",
  405: "Client and server speak different versions.",
  413: "Something between here and the gateway takes only smaller requests.",
  502: "The web server cannot reach the gateway: is `wkfs serve` running?",
  503: "The server is busy; try again in a moment.",
  504: "The gateway cannot reach the daemon: is `wkfs daemon` running on the server?",
};

function refusedWith(status: number, url: string): WkfsError {
  const code = status >= 500 ? "SERVER_UNREACHABLE" : "KNOCK_REFUSED";
  return new WkfsError(code, `${new URL(url).host} answered with status ${status}`, {
    hint: STATUS_HINTS[status] ?? "Look into the log of the web server.",
  });
}
