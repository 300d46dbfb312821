import type { Socket } from "node:net";
import type { Clock, GrantRequest } from "@wkfs/core";
import { CallingLink } from "./calling-link.ts";
import type { LocalhostTcpConfig } from "./config.ts";
import { VERSION } from "./frames.ts";
import { formatRequest } from "./message.ts";
import { OneShots } from "./one-shots.ts";
import type { CallingSide } from "./transport.ts";

/** How long a daemon that answered without frames is not asked for them, in milliseconds: another may follow it. */
const ASK_AGAIN = 60_000;

/**
 * The gateway's side. To a daemon that speaks in frames, requests go over one link. To any other, and while
 * that is not known, each goes over a connection of its own, and one at a time asks for frames: so nobody
 * waits for the answer to that question, which the PHP program's daemon gives with its reply only.
 */
export class Caller implements CallingSide {
  readonly #config: LocalhostTcpConfig;
  readonly #secret: string;
  readonly #clock: Clock;
  readonly #oneShots: OneShots;
  /** The one that takes calls, and those that still wait for answers. */
  readonly #links = new Set<CallingLink>();
  #link: CallingLink | undefined;
  #asking = false;
  #askFrom = Number.NEGATIVE_INFINITY;

  constructor(config: LocalhostTcpConfig, secret: string, clock: Clock) {
    this.#config = config;
    this.#secret = secret;
    this.#clock = clock;
    this.#oneShots = new OneShots(config, clock);
  }

  async call(request: GrantRequest, signal: AbortSignal): Promise<string> {
    const { maxMessage } = this.#config;
    if (this.#link !== undefined) return await this.#link.call(formatRequest(request, maxMessage), signal);
    const asks = !this.#asking && this.#clock.steady() >= this.#askFrom;
    const text = formatRequest(request, maxMessage, {
      secret: this.#secret,
      ...(asks ? { frames: VERSION } : {}),
    });
    if (asks) this.#asking = true;
    try {
      const answer = await this.#oneShots.send(text, signal, {
        wanted: () => this.#link === undefined,
        switched: (socket, piece) => ({ first: this.#begin(socket, piece, signal) }),
      });
      if (answer === undefined) return await this.call(request, signal);
      if (typeof answer === "object") return await answer.first;
      if (asks) this.#askFrom = this.#clock.steady() + ASK_AGAIN;
      return answer;
    } finally {
      if (asks) this.#asking = false;
    }
  }

  /** Ends what is under way. */
  async close(): Promise<void> {
    const links = Array.from(this.#links, (link) => link.close());
    await Promise.all([this.#oneShots.close(), ...links]);
  }

  /** Makes a link of a connection whose daemon went over to frames; the answer to its first request. */
  #begin(socket: Socket, piece: Buffer, signal: AbortSignal): Promise<string> {
    const { host, port, connectTimeout, replyTimeout } = this.#config;
    const link = new CallingLink(socket, {
      clock: this.#clock,
      peer: `daemon at ${host} port ${port}`,
      turnTime: connectTimeout * 1000,
      answerTime: replyTimeout * 1000,
      over: () => {
        if (this.#link === link) this.#link = undefined;
      },
    });
    this.#links.add(link);
    void link.closed.then(() => this.#links.delete(link));
    const first = link.first(signal);
    this.#link = link;
    link.take(piece);
    return first;
  }
}
