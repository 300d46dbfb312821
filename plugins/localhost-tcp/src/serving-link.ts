import type { Socket } from "node:net";
import type { Clock } from "@wkfs/core";
import { FIRST, FrameReader, FrameWriter, GOODBYE, MAX_UNDER_WAY } from "./frames.ts";
import { parseMessage } from "./message.ts";

/** What the daemon's end of a link is told. Times in milliseconds. */
export interface ServingTerms {
  readonly clock: Clock;
  /** Largest request in bytes. */
  readonly maxMessage: number;
  /** How long the daemon may take for an answer. */
  readonly answerTime: number;
  /** How long the peer may leave answers lie. */
  readonly takeTime: number;
  /** Answers a request; rejects when there is no answer that can be sent. */
  reply(message: object): Promise<string>;
  /** Hears once that the connection is gone, and why when it was not the peer who went. */
  gone(link: ServingLink, reason: string | undefined): void;
}

/** A request that is not answered yet. `until` is by the steady clock, in milliseconds. */
interface UnderWay {
  readonly id: number;
  readonly until: number;
}

/** The daemon's end of a connection that speaks in frames, with a peer that is authenticated. */
export class ServingLink {
  readonly #socket: Socket;
  readonly #terms: ServingTerms;
  readonly #reader: FrameReader;
  readonly #writer: FrameWriter;
  /** Requests that are not answered yet, by their number, in the order of their coming. */
  readonly #underWay = new Map<number, UnderWay>();
  /** Ends the time limit of answers: one timer for all, since thousands of requests wait at a time. */
  #unlimit: (() => void) | undefined;
  #lift = () => {};
  #gone = false;

  constructor(socket: Socket, terms: ServingTerms) {
    this.#socket = socket;
    this.#terms = terms;
    this.#reader = new FrameReader(terms.maxMessage);
    this.#writer = new FrameWriter((bytes) => this.#send(bytes));
    socket.on("data", (piece) => this.take(piece));
    // A gateway closes when it wants no more answers.
    socket.on("end", () => this.#leave(undefined));
    socket.on("error", (error) => this.drop(error.message));
    socket.on("close", () => this.#leave(undefined));
  }

  /** Answers the request that was in the JSON with which the connection began. */
  first(message: object): void {
    this.#answer(FIRST, message);
  }

  /** Asks the peer to close when it has its answers. Requests that are on their way are still answered. */
  sayGoodbye(): void {
    this.#writer.add(GOODBYE, "");
  }

  /** Ends it at once, whatever is under way. */
  drop(reason: string): void {
    this.#leave(reason);
  }

  /** What has come on the connection. Only for what came before this link had it. */
  take(piece: Buffer): void {
    if (this.#gone) return;
    if (!this.#reader.take(piece, (id, body) => this.#request(id, body))) this.drop("sent what is no frame");
  }

  #request(id: number, body: Uint8Array): void {
    if (this.#gone) return;
    if (id === GOODBYE || this.#underWay.has(id)) return this.drop("gave two requests one number");
    if (this.#underWay.size >= MAX_UNDER_WAY) return this.drop("sent too many requests at a time");
    const message = parseMessage(body);
    if (message === undefined) return this.drop("sent what is no request");
    this.#answer(id, message);
  }

  #answer(id: number, message: object): void {
    const one: UnderWay = { id, until: this.#terms.clock.steady() + this.#terms.answerTime };
    this.#underWay.set(id, one);
    this.#unlimit ??= this.#terms.clock.setTimer(this.#terms.answerTime, this.#expire);
    this.#terms.reply(message).then(
      (reply) => this.#settle(one, reply),
      () => this.#settle(one, ""),
    );
  }

  #settle(one: UnderWay, reply: string): void {
    // It was answered with nothing when its time was over; the number may be another request's by now.
    if (this.#underWay.get(one.id) !== one) return;
    this.#underWay.delete(one.id);
    this.#writer.add(one.id, reply);
    if (this.#underWay.size === 0) this.#unlimitAll();
  }

  /** Answers those whose time is over with nothing, and waits for the next. */
  readonly #expire = (): void => {
    this.#unlimit = undefined;
    const now = this.#terms.clock.steady();
    for (const one of this.#underWay.values()) {
      if (one.until > now) {
        this.#unlimit = this.#terms.clock.setTimer(one.until - now, this.#expire);
        return;
      }
      this.#settle(one, "");
    }
  };

  #unlimitAll(): void {
    this.#unlimit?.();
    this.#unlimit = undefined;
  }

  #send(bytes: Buffer): void {
    if (this.#socket.write(bytes) || this.#socket.isPaused()) return;
    // Who does not take its answers is not heard: it could fill the memory with them.
    this.#socket.pause();
    this.#lift = this.#terms.clock.setTimer(this.#terms.takeTime, () => this.drop("did not take its answers"));
    this.#socket.once("drain", () => {
      this.#lift();
      this.#socket.resume();
    });
  }

  #leave(reason: string | undefined): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#lift();
    this.#unlimitAll();
    this.#underWay.clear();
    this.#writer.close();
    this.#socket.destroy();
    this.#terms.gone(this, reason);
  }
}
