import { EventEmitter } from "node:events";
import { WkfsError } from "../model/errors.ts";

/** Where a role is in its life; it goes from left to right, once. */
export type Status = "new" | "starting" | "running" | "stopping" | "stopped";

/** What every event of a role has. */
export interface RoleEvent {
  /** What happened; tells the events of a role apart. */
  readonly type: string;
  /** When it happened, in milliseconds since the epoch. */
  readonly time: number;
}

/**
 * What can be listened to: each event by its type, all of them as `event`, and each step of the life as `status`. There is
 * no event `error`, so an event without a listener harms nobody.
 */
export type RoleEvents<Event extends RoleEvent> = {
  [Type in Event["type"]]: [event: Extract<Event, { readonly type: Type }>];
} & { event: [event: Event]; status: [status: Status] };

/**
 * What daemon, gateway and client have in common: each is started once and stopped once, whoever asks how often; tells
 * what happens as a typed `EventEmitter`; ends when its `signal` aborts or its scope (`await using`) is left.
 *
 * Listeners are called one after the other, and nobody waits for a promise that one gives back. One that throws disturbs neither
 * the role nor the other listeners: its error is thrown again outside of both, as an uncaught exception of the program.
 */
export abstract class Role<Event extends RoleEvent> extends EventEmitter<RoleEvents<Event>> implements AsyncDisposable {
  #status: Status = "new";
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  readonly #ending = new AbortController();
  readonly #end = Promise.withResolvers<void>();

  /** @internal */
  constructor(signal: AbortSignal | undefined) {
    super();
    // Who asks for it hears of the failure; nobody has to.
    this.#end.promise.catch(() => {});
    const stop = (): void => void this.stop().catch(() => {});
    if (signal?.aborted) stop();
    signal?.addEventListener("abort", stop, { once: true });
    const leave = (): void => signal?.removeEventListener("abort", stop);
    this.#end.promise.then(leave, leave);
  }

  /** Where it is in its life. Each change is told as `status`. */
  get status(): Status {
    return this.#status;
  }

  /** Resolves when it has ended, whoever ended it; rejects with what `stop` failed with. */
  get stopped(): Promise<void> {
    return this.#end.promise;
  }

  /**
   * Resolves when the role does its work: a daemon or a gateway answers knocks, a client has opened ports. When it
   * rejects, what had been started was stopped again. Idempotent; `STATE_INVALID` for a role that was stopped.
   */
  start(): Promise<void> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  /**
   * Answers what is under way and ends. Goes on past failures, which come together at the end as an `AggregateError`. A
   * start that is under way is ended first. Idempotent.
   */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /** The same as `stop`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** Aborts when the role is to end, also in the middle of its start. @internal */
  protected get ending(): AbortSignal {
    return this.#ending.signal;
  }

  /** Starts everything, or rejects with everything stopped. @internal */
  protected abstract up(): Promise<void>;

  /** Stops everything that `up` started. @internal */
  protected abstract down(): Promise<void>;

  /** For what a role does instead of running: it can then not be started any more. @internal */
  protected retire(): void {
    if (this.#status !== "new") throw spent("it is or was running");
    this.#enter("stopped");
  }

  /** Tells those who listen. @internal */
  protected tell(event: Event): void {
    this.#call(event.type, event);
    this.#call("event", event);
  }

  async #start(): Promise<void> {
    if (this.#status !== "new") throw spent("it was stopped");
    this.#enter("starting");
    try {
      await this.up();
      this.#enter("running");
    } catch (error) {
      this.#enter("stopped");
      throw error;
    }
  }

  async #stop(): Promise<void> {
    this.#ending.abort();
    if (this.#status === "new") this.#enter("stopped");
    if (this.#status === "starting") await this.#starting?.catch(() => {});
    if (this.#status === "stopped") return;
    this.#enter("stopping");
    try {
      await this.down();
    } catch (error) {
      this.#end.reject(error);
      throw error;
    } finally {
      this.#enter("stopped");
    }
  }

  #enter(status: Status): void {
    this.#status = status;
    this.#call("status", status);
    if (status === "stopped") this.#end.resolve();
  }

  #call(name: string, argument: unknown): void {
    for (const listener of (this as EventEmitter).rawListeners(name)) {
      try {
        Reflect.apply(listener, this, [argument]);
      } catch (error) {
        process.nextTick(() => {
          throw error;
        });
      }
    }
  }
}

/** For a role that can not do any more what it is asked to. */
export function spent(why: string): WkfsError {
  return new WkfsError("STATE_INVALID", `this can be done once, with a new one: ${why}`, {
    hint: "Make another with createDaemon, createGateway or createClient.",
  });
}
