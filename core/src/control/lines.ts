import { StringDecoder } from "node:string_decoder";

/** Cuts what comes over a socket into lines, none of them longer than so many characters. */
export class Lines {
  readonly #longest: number;
  readonly #decoder = new StringDecoder("utf8");
  #held: string[] = [];
  #size = 0;

  constructor(longest: number) {
    this.#longest = longest;
  }

  /** The lines that are complete now; undefined when one is too long, and nothing more can be read. */
  take(piece: Buffer): string[] | undefined {
    const parts = this.#decoder.write(piece).split("\n");
    const whole: string[] = [];
    for (const [index, part] of parts.entries()) {
      this.#size += part.length;
      if (this.#size > this.#longest) return undefined;
      this.#held.push(part);
      if (index === parts.length - 1) break;
      whole.push(this.#held.join(""));
      this.#held = [];
      this.#size = 0;
    }
    return whole;
  }
}
