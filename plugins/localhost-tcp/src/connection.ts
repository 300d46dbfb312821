import type { Socket } from "node:net";
import type { Clock } from "@wkfs/core";
import { MessageReader } from "./framing.ts";

/** How long a peer that has its answer may take to close its side, in milliseconds. */
const LINGER = 1000;

/**
 * `reading`: the request is not whole. `answering`: an authenticated peer waits for the reply or for
 * the rest of it. `done`: the reply is out, the peer's close is awaited. `gone`: nothing is left here.
 */
export type Phase = "reading" | "answering" | "done" | "gone";

/** The reply, the refusal of who is not authenticated, or who takes the socket over to speak in frames. */
export type Answer =
  | { readonly reply: Promise<string> }
  | { readonly refusal: string }
  | { readonly takeOver: (socket: Socket) => void };

/** What a connection is told by the listener that it belongs to. Times in milliseconds. */
export interface ConnectionTerms {
  readonly clock: Clock;
  /** Bytes. */
  readonly maxMessage: number;
  readonly requestTime: number;
  readonly answerTime: number;
  answer(message: object): Answer;
  /** Hears once that the connection is gone or another's, and why when it was not finished. */
  gone(connection: Connection, reason: string | undefined): void;
}

/** One peer's connection, from its first byte to its end. Errors of the socket end it and no more. */
export class Connection {
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #terms: ConnectionTerms;
  readonly #reader: MessageReader;
  #phase: Phase = "reading";
  #lift: () => void;

  /** The socket must stay open for writing when the peer ends its side (`allowHalfOpen`). */
  constructor(socket: Socket, terms: ConnectionTerms) {
    this.#socket = socket;
    this.#terms = terms;
    this.#reader = new MessageReader(terms.maxMessage);
    this.#lift = this.#limit(terms.requestTime, "sent no whole request in time");
    const closing = Promise.withResolvers<void>();
    this.closed = closing.promise;
    socket.on("data", this.#take);
    socket.on("end", () => {
      if (this.#phase === "reading") this.drop("closed before its request was whole");
    });
    socket.on("error", (error) => this.drop(error.message));
    socket.on("close", () => {
      this.#leave(this.#phase === "done" ? undefined : "closed before it had its answer");
      closing.resolve();
    });
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** Ends it at once, whatever it was about. */
  drop(reason: string): void {
    this.#leave(reason);
    this.#socket.destroy();
  }

  readonly #take = (piece: Buffer): void => {
    // What follows a request is read and thrown away: closing with it unread would reset the
    // connection, and the reply with it.
    if (this.#phase !== "reading") return;
    const progress = this.#reader.take(piece);
    if (progress === "never") this.drop("sent what is no request");
    if (progress === "whole") this.#answer(this.#reader.message!);
  };

  #answer(message: object): void {
    const answer = this.#terms.answer(message);
    if ("takeOver" in answer) {
      this.#leave(undefined);
      this.#socket.off("data", this.#take);
      answer.takeOver(this.#socket);
      return;
    }
    if ("refusal" in answer) {
      this.#phase = "done";
      this.#write(answer.refusal, LINGER);
      return;
    }
    this.#phase = "answering";
    this.#relimit(this.#terms.answerTime, "waited in vain for our answer");
    void this.#deliver(answer.reply);
  }

  async #deliver(reply: Promise<string>): Promise<void> {
    let text: string;
    try {
      text = await reply;
    } catch {
      this.drop("could not be answered");
      return;
    }
    if (this.#phase === "answering") this.#write(text, this.#terms.requestTime);
  }

  #write(reply: string, time: number): void {
    this.#relimit(time, "did not take its answer");
    this.#socket.end(reply, () => {
      if (this.#phase === "gone") return;
      this.#phase = "done";
      this.#relimit(LINGER, "did not close");
    });
  }

  #relimit(time: number, reason: string): void {
    this.#lift();
    this.#lift = this.#limit(time, reason);
  }

  #limit(time: number, reason: string): () => void {
    return this.#terms.clock.setTimer(time, () => this.drop(reason));
  }

  #leave(reason: string | undefined): void {
    if (this.#phase === "gone") return;
    this.#phase = "gone";
    this.#lift();
    this.#terms.gone(this, reason);
  }
}
