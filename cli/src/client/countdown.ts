import type { WriteStream } from "node:tty";
import type { ClientEvent, KnockResult } from "@wkfs/core/client";
import { formatDelay } from "../duration.ts";
import { openedPorts } from "../open-report.ts";
import { left } from "../steer/words.ts";

/** Milliseconds between two looks at the clock. */
const TICK = 1000;
/** Back to the beginning of the line, which is then empty. */
const AFRESH = "\r\u001B[K";

/**
 * What is open and for how long, as one line of a terminal that is written anew each second. What failed is a line of its own
 * above it. `tellFailure` writes that line; `stop` leaves the last one where it is.
 */
export class Countdown {
  readonly #output: Pick<WriteStream, "write" | "columns">;
  readonly #tellFailure: (event: Extract<ClientEvent, { type: "failed" }>) => void;
  readonly #timer: NodeJS.Timeout;
  #latest: { readonly result: KnockResult; readonly until: number } | undefined;
  #next: { readonly at: number; readonly word: string } | undefined;

  constructor(
    output: Pick<WriteStream, "write" | "columns">,
    tellFailure: (event: Extract<ClientEvent, { type: "failed" }>) => void,
  ) {
    this.#output = output;
    this.#tellFailure = tellFailure;
    this.#timer = setInterval(() => this.#draw(), TICK);
  }

  /** Bound, to be a listener. */
  readonly tell = (event: ClientEvent): void => {
    if (event.type === "failed") {
      this.#output.write(AFRESH);
      this.#tellFailure(event);
      this.#next = { at: event.time + event.retryIn, word: "next try" };
    } else {
      this.#latest = { result: event.result, until: event.time + event.result.lasts * 1000 };
      this.#next = { at: event.time + event.renewIn, word: "renewed" };
    }
    this.#draw();
  };

  stop(): void {
    clearInterval(this.#timer);
    this.#output.write("\n");
  }

  #draw(): void {
    const now = Date.now();
    const open = this.#latest !== undefined && this.#latest.until > now ? this.#latest : undefined;
    const parts = [open === undefined ? "nothing is open" : openText(open.result, open.until - now)];
    if (this.#next !== undefined) parts.push(`${this.#next.word} in ${formatDelay(Math.max(0, this.#next.at - now))}`);
    const width = this.#output.columns > 0 ? this.#output.columns - 1 : Number.POSITIVE_INFINITY;
    this.#output.write(AFRESH + parts.join(", ").slice(0, width));
  }
}

function openText({ ip, ports }: KnockResult, time: number): string {
  const { names, missing } = openedPorts({ ports });
  return `${names} open for ${ip}, ${left(time)} left${missing}`;
}
