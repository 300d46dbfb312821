import { type ChildProcess, spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { stripVTControlCharacters } from "node:util";

/** Keys as a terminal sends them. */
export const KEY = { enter: "\r", down: "\u001B[B", up: "\u001B[A", space: " ", end: "\u0003" } as const;

/** Milliseconds in which a program must say what is waited for. */
const PATIENCE = 60_000;

/** A program at a terminal of its own, which `script` makes, and the person before it. */
export class Terminal implements AsyncDisposable {
  readonly #child: ChildProcess;
  #text = "";
  #read = 0;
  #over = false;
  /** That something was shown, or that there is no more to come. */
  readonly #news = new EventEmitter();

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout!.setEncoding("utf8").on("data", (text: string) => {
      this.#text += text;
      this.#news.emit("news");
    });
    child.once("close", () => {
      this.#over = true;
      this.#news.emit("news");
    });
    child.stdin!.on("error", () => {});
  }

  /** `prefix` is put before `script`, to start it on another host. */
  static start(
    argv: readonly string[],
    { prefix = [], ...options }: { prefix?: readonly string[]; cwd: string; env: NodeJS.ProcessEnv },
  ): Terminal {
    const words = argv.map((word) => `'${word.replaceAll("'", String.raw`'\''`)}'`).join(" ");
    const [program, ...args] = [...prefix, "script", "--quiet", "--return", "--command", words, "/dev/null"];
    return new Terminal(spawn(program!, args, { ...options, stdio: ["pipe", "pipe", "inherit"] }));
  }

  /** All that was shown, as text. */
  get screen(): string {
    return stripVTControlCharacters(this.#text);
  }

  /** Waits until this is shown, after what was waited for before. */
  async until(pattern: RegExp): Promise<void> {
    const late = AbortSignal.timeout(PATIENCE);
    for (;;) {
      const found = pattern.exec(this.screen.slice(this.#read));
      if (found !== null) {
        this.#read += found.index + found[0].length;
        return;
      }
      if (this.#over) throw new Error(`it ended without ${pattern}:\n${this.screen}`);
      await once(this.#news, "news", { signal: late }).catch(() => {
        throw new Error(`${pattern} is not shown:\n${this.screen}`);
      });
    }
  }

  /** Answers a question when it is shown. */
  async answer(question: RegExp, keys: string): Promise<void> {
    await this.until(question);
    this.#child.stdin!.write(keys);
  }

  /** The exit code of the program. */
  async ended(): Promise<number | null> {
    if (!this.#over) await once(this.#child, "close");
    return this.#child.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#over) return;
    const gone = once(this.#child, "close");
    this.#child.kill("SIGKILL");
    await gone;
  }
}
