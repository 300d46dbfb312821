import { WkfsError } from "../model/errors.ts";

/** Where a role is in its life; it goes from left to right, once. */
export type Status = "new" | "starting" | "running" | "stopping" | "stopped";

/** What a daemon and a gateway have in common: each is started once and stopped once, whoever asks how often. */
export abstract class Role implements AsyncDisposable {
  #status: Status = "new";
  #started: Promise<void> | undefined;
  #stopped: Promise<void> | undefined;

  get status(): Status {
    return this.#status;
  }

  /**
   * Resolves when knocks are answered. When it rejects, what had been started was stopped again. Idempotent;
   * `STATE_INVALID` for a role that was stopped.
   */
  start(): Promise<void> {
    this.#started ??= this.#start();
    return this.#started;
  }

  /** Answers what is under way and ends; failures on the way come together at the end. Idempotent. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** Starts everything, or rejects with everything stopped. */
  protected abstract up(): Promise<void>;
  protected abstract down(): Promise<void>;

  /** For what a role does instead of running: it can then not be started any more. */
  protected retire(): void {
    if (this.#status !== "new") throw spent("it is or was running");
    this.#status = "stopped";
  }

  async #start(): Promise<void> {
    if (this.#status !== "new") throw spent("it was stopped");
    this.#status = "starting";
    try {
      await this.up();
      this.#status = "running";
    } catch (error) {
      this.#status = "stopped";
      throw error;
    }
  }

  async #stop(): Promise<void> {
    if (this.#status === "new") this.#status = "stopped";
    await this.#started?.catch(() => {});
    if (this.#status === "stopped") return;
    this.#status = "stopping";
    try {
      await this.down();
    } finally {
      this.#status = "stopped";
    }
  }
}

function spent(why: string): WkfsError {
  return new WkfsError("STATE_INVALID", `this can be done once, with a new one: ${why}`, {
    hint: "Make another with createDaemon or createGateway.",
  });
}
