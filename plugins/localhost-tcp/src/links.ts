import type { Socket } from "node:net";
import { type Clock, type GrantHandler, type Logger, messageOf } from "@wkfs/core";
import { MAX_REPLY, requestOf } from "./message.ts";
import { ServingLink, type ServingTerms } from "./serving-link.ts";

/** A gateway has one, and another for a moment when that has gone bad; few hosts have more than one gateway. */
const MAX_LINKS = 64;
/** How long `close` waits for answers under way, in milliseconds. */
export const CLOSE_GRACE = 5000;

/** Bounds that a transport's configuration sets. Times in seconds. */
export interface LinkBounds {
  /** Largest request in bytes. */
  readonly maxMessage: number;
  readonly replyTimeout: number;
  readonly idleTimeout: number;
}

/** The daemon's ends of its links, in the order of their coming, and the handler that answers on all of them. */
export class Links {
  readonly #links = new Set<ServingLink>();
  readonly #terms: ServingTerms;
  readonly #handler: GrantHandler;
  readonly #log: Logger;
  readonly #empty = Promise.withResolvers<void>();
  #closing = false;

  constructor(
    bounds: LinkBounds,
    { clock, log }: { readonly clock: Clock; readonly log: Logger },
    handler: GrantHandler,
  ) {
    this.#handler = handler;
    this.#log = log;
    this.#terms = {
      clock,
      maxMessage: bounds.maxMessage,
      answerTime: bounds.replyTimeout * 1000,
      takeTime: bounds.idleTimeout * 1000,
      reply: (message) => this.reply(message),
      gone: (link, reason) => {
        this.#links.delete(link);
        if (this.#closing && this.#links.size === 0) this.#empty.resolve();
        if (reason !== undefined) log.debug({ reason }, "a peer was dropped");
      },
    };
  }

  get full(): boolean {
    return this.#links.size >= MAX_LINKS;
  }

  /** Speaks in frames on a socket from now on. */
  add(socket: Socket): ServingLink {
    const link = new ServingLink(socket, this.#terms);
    this.#links.add(link);
    return link;
  }

  /** Asks all peers to go, and drops those who have not gone after 5 s. Resolves when there is no link left. */
  async close(): Promise<void> {
    if (this.#links.size === 0) return;
    this.#closing = true;
    for (const link of this.#links) link.sayGoodbye();
    const lift = this.#terms.clock.setTimer(CLOSE_GRACE, () => {
      for (const link of this.#links) link.drop("the daemon stops and can wait no longer");
    });
    await this.#empty.promise;
    lift();
  }

  /** The handler's answer to a message of an authenticated peer. Rejects when there is none that can be sent. */
  reply(message: object): Promise<string> {
    try {
      return this.#handler(requestOf(message)).then(this.#checked, this.#failed);
    } catch (error) {
      return Promise.reject(error).catch(this.#failed);
    }
  }

  readonly #checked = (reply: string): string => {
    const size = Buffer.byteLength(reply);
    return size <= MAX_REPLY
      ? reply
      : this.#failed(new Error(`the reply has ${size} bytes, the limit is ${MAX_REPLY}`));
  };

  readonly #failed = (error: unknown): never => {
    this.#log.error({ error: messageOf(error) }, "a request could not be answered");
    throw error;
  };
}
