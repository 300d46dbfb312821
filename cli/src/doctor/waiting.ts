import type { WriteStream } from "node:tty";

/** Milliseconds after which somebody wonders what is going on. */
const PATIENCE = 1000;
const CLEAR = "\r\u001B[K";

/** Says on a terminal what is being waited for, once that takes more than a second. */
export class Waiting implements Disposable {
  readonly #output: WriteStream;
  #names: readonly string[] = [];
  #shown = false;
  readonly #timer: NodeJS.Timeout | undefined;

  constructor(output: WriteStream) {
    this.#output = output;
    if (!output.isTTY) return;
    this.#timer = setTimeout(() => {
      this.#shown = true;
      this.#show();
    }, PATIENCE);
  }

  /** What is waited for now. */
  for(names: readonly string[]): void {
    this.#names = [...names];
    if (this.#shown) this.#show();
  }

  #show(): void {
    const text = this.#names.length > 0 ? `waiting for ${this.#names.join(", ")} …` : "";
    this.#output.write(CLEAR + text.slice(0, this.#output.columns || 80));
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    if (this.#shown) this.#output.write(CLEAR);
  }
}
