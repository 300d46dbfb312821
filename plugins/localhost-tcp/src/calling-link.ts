import type { Socket } from "node:net";
import { type Clock, WkfsError, messageOf } from "@wkfs/core";
import { FIRST, FrameReader, FrameWriter, GOODBYE, MAX_UNDER_WAY } from "./frames.ts";
import { MAX_REPLY, replyText } from "./message.ts";
import { Slots } from "./slots.ts";

const LOST_HINT = "See the daemon's log for what became of the request.";
const NOT_SENT_HINT = "Nothing was opened. Try again.";

/** What the gateway's end of a link is told. Times in milliseconds. */
export interface CallingTerms {
  readonly clock: Clock;
  /** Who is at the other end, for errors: `daemon at 127.0.0.1 port 33491`. */
  readonly peer: string;
  /** How long a request may wait until one of those under way is answered. */
  readonly turnTime: number;
  readonly answerTime: number;
  /** Hears once that the link takes no more calls. Those under way may still be answered. */
  over(link: CallingLink): void;
}

/** A request that has gone out. Settling it again does nothing. */
interface Sent {
  answer(body: Uint8Array): void;
  fail(what: string): void;
}

/** The gateway's end of a connection that speaks in frames. */
export class CallingLink {
  /** Resolves when the daemon has said its preface; rejects with a plain error when the link ends before. */
  readonly ready: Promise<void>;
  /** Resolves when the connection is gone. */
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #terms: CallingTerms;
  readonly #reader = new FrameReader(MAX_REPLY);
  readonly #writer: FrameWriter;
  /** Also those that were given up: their answers may come yet, and their numbers are taken. */
  readonly #sent = new Map<number, Sent>();
  readonly #turns = new Slots(MAX_UNDER_WAY);
  readonly #end = new AbortController();
  readonly #greeting = Promise.withResolvers<void>();
  #unsettled = 0;
  #last = 0;

  constructor(socket: Socket, terms: CallingTerms) {
    this.#socket = socket;
    this.#terms = terms;
    this.#writer = new FrameWriter((bytes) => void socket.write(bytes));
    this.ready = this.#greeting.promise;
    this.ready.catch(() => {});
    this.closed = new Promise((resolve) => socket.once("close", () => resolve()));
    socket.on("data", (piece) => this.take(piece));
    socket.on("error", (error) => this.#break(error.message));
    socket.on("end", () => this.#break("closed the connection"));
    socket.on("close", () => this.#break("closed the connection"));
  }

  /** Whether it takes calls. */
  get usable(): boolean {
    return !this.#end.signal.aborted;
  }

  /**
   * Sends one request and resolves with its answer. Rejects with `TRANSPORT_UNREACHABLE` when it was not
   * sent, because 1,024 are under way and none is answered or because the link takes no more calls, and
   * with `TRANSPORT_FAILED` when it was sent and there is no answer.
   */
  async call(text: string, signal: AbortSignal): Promise<string> {
    if (signal.aborted) throw this.#notSent("the call was called off");
    if (!this.#turns.tryTake()) await this.#turn(signal);
    if (this.#end.signal.aborted) throw this.#notSent(messageOf(this.#end.signal.reason));
    const id = this.#nextId();
    const answer = this.#expect(id, signal);
    this.#writer.add(id, text);
    return await answer;
  }

  /** The answer to the request that was in the JSON with which the connection began. */
  first(signal: AbortSignal): Promise<string> {
    this.#turns.tryTake();
    this.#last = FIRST;
    return this.#expect(FIRST, signal);
  }

  /** What has come on the connection. Only for what came before this link had it. */
  take(piece: Buffer): void {
    if (this.#socket.destroyed) return;
    if (!this.#reader.take(piece, (id, body) => this.#answer(id, body))) this.#break("said what is no frame");
    else if (this.#reader.greeted) this.#greeting.resolve();
  }

  /** Ends what is under way, and resolves when the connection is gone. */
  close(why = "was left because the gateway stops"): Promise<void> {
    this.#break(why);
    return this.closed;
  }

  #expect(id: number, signal: AbortSignal): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const off = () => sent.fail("was left because the call was called off");
    const lift = this.#terms.clock.setTimer(this.#terms.answerTime, () => {
      // Whoever is silent for so long may never answer again: the next call tries a new connection.
      sent.fail(`gave no answer within ${this.#terms.answerTime / 1000} s`);
      this.#retire("was silent for too long");
    });
    let settled = false;
    const settle = (): boolean => {
      if (settled) return false;
      settled = true;
      lift();
      signal.removeEventListener("abort", off);
      this.#unsettled -= 1;
      return true;
    };
    const sent: Sent = {
      answer: (body) => {
        if (!settle()) return;
        try {
          resolve(replyText(body));
        } catch (error) {
          reject(this.#lost(error));
        }
      },
      fail: (what) => {
        if (settle()) reject(this.#lost(new Error(what)));
      },
    };
    this.#unsettled += 1;
    this.#sent.set(id, sent);
    signal.addEventListener("abort", off, { once: true });
    return promise;
  }

  #answer(id: number, body: Uint8Array): void {
    if (this.#socket.destroyed) return;
    if (id === GOODBYE && body.length === 0) return this.#retire("is about to stop");
    const sent = this.#sent.get(id);
    if (sent === undefined) return this.#break("answered what it was not asked");
    this.#sent.delete(id);
    this.#turns.give();
    sent.answer(body);
    this.#leaveWhenDone();
  }

  #nextId(): number {
    do this.#last = (this.#last + 1) >>> 0;
    while (this.#last === GOODBYE || this.#sent.has(this.#last));
    return this.#last;
  }

  /** Waits until a request may go out. */
  async #turn(signal: AbortSignal): Promise<void> {
    const late = new AbortController();
    const { clock, turnTime } = this.#terms;
    const lift = clock.setTimer(turnTime, () =>
      late.abort(new Error(`has ${MAX_UNDER_WAY} requests under way and answered none within ${turnTime / 1000} s`)),
    );
    try {
      await this.#turns.take(AbortSignal.any([signal, late.signal, this.#end.signal]));
    } catch (reason) {
      throw this.#notSent(signal.aborted ? "the call was called off" : messageOf(reason));
    } finally {
      lift();
    }
  }

  /** Takes no more calls, and leaves when those under way are answered. */
  #retire(why: string): void {
    if (this.#end.signal.aborted) return;
    this.#end.abort(new Error(why));
    this.#terms.over(this);
    this.#leaveWhenDone();
  }

  #leaveWhenDone(): void {
    if (this.#end.signal.aborted && this.#unsettled === 0) this.#break("was left");
  }

  #break(what: string): void {
    this.#socket.destroy();
    this.#writer.close();
    this.#greeting.reject(new Error(what));
    for (const sent of this.#sent.values()) sent.fail(what);
    this.#sent.clear();
    this.#retire(what);
  }

  #lost(cause: unknown): WkfsError {
    const hint = cause instanceof WkfsError ? cause.hint : undefined;
    const text = `${this.#terms.peer}: ${messageOf(cause)}`;
    return new WkfsError("TRANSPORT_FAILED", text, { hint: hint ?? LOST_HINT, cause });
  }

  #notSent(what: string): WkfsError {
    return new WkfsError("TRANSPORT_UNREACHABLE", `${this.#terms.peer}: ${what}`, { hint: NOT_SENT_HINT });
  }
}
