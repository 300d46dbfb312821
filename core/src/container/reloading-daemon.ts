import type { ServerConfig } from "../config/index.ts";
import type { AnyPlugin } from "../contracts/plugin.ts";
import type { Daemon } from "../daemon/daemon.ts";
import { type Reloaded, changedSections } from "../daemon/reload.ts";
import { silentLogger } from "../lifecycle/silent-logger.ts";
import { messageOf } from "../model/errors.ts";
import { createDaemon } from "./daemon.ts";
import type { RoleOptions } from "./role.ts";

/** What a daemon that reloads is made of. */
export interface ReloadingOptions extends Omit<RoleOptions, "config" | "plugins"> {
  /** Reads the configuration and imports the plugins that it names: at the start, and for each reload. */
  readonly load: () => Promise<{ readonly config: ServerConfig; readonly plugins: readonly AnyPlugin[] }>;
}

/**
 * A daemon that can read its configuration anew. A reload makes another daemon, checks it in full, and has it take the place of
 * the one that runs: leases stay, the guard stays up, knocks wait for as long as it takes to read the store and to look at the
 * kernel. Started once, stopped once.
 */
export class ReloadingDaemon implements AsyncDisposable {
  readonly #options: ReloadingOptions;
  readonly #end = Promise.withResolvers<void>();
  #config: ServerConfig;
  #plugins: readonly AnyPlugin[];
  #daemon: Daemon;
  /** Whether the end of a daemon is that of one which hands over. */
  #replacing = false;
  /** Reloads one after the other. */
  #turn: Promise<unknown> = Promise.resolve();
  #stopping: Promise<void> | undefined;

  private constructor(
    options: ReloadingOptions,
    made: { config: ServerConfig; plugins: readonly AnyPlugin[]; daemon: Daemon },
  ) {
    this.#options = options;
    this.#config = made.config;
    this.#plugins = made.plugins;
    this.#daemon = made.daemon;
    this.#end.promise.catch(() => {});
    const stop = (): void => void this.stop().catch(() => {});
    options.signal?.addEventListener("abort", stop, { once: true });
  }

  /** Rejects as `load` and `createDaemon` do. */
  static async create(options: ReloadingOptions): Promise<ReloadingDaemon> {
    const { load, signal, ...rest } = options;
    signal?.throwIfAborted();
    const { config, plugins } = await load();
    // The operation is there before what it is done with.
    const own: { self?: ReloadingDaemon } = {};
    const reload = (): Promise<Reloaded> => own.self!.reload();
    const daemon = await createDaemon({ ...rest, config, plugins, reload });
    signal?.throwIfAborted();
    own.self = new ReloadingDaemon(options, { config, plugins, daemon });
    return own.self;
  }

  /** The one that runs now. */
  get daemon(): Daemon {
    return this.#daemon;
  }

  /** Resolves when it has ended for good; rejects with what ended it. */
  get stopped(): Promise<void> {
    return this.#end.promise;
  }

  async start(): Promise<void> {
    try {
      await this.#daemon.start();
    } catch (error) {
      this.#end.reject(error);
      throw error;
    }
    this.#follow(this.#daemon);
  }

  /** Waits for a reload that is under way. Idempotent. */
  stop(): Promise<void> {
    this.#stopping ??= (async () => {
      await this.#turn.catch(() => {});
      try {
        await this.#daemon.stop();
        this.#end.resolve();
      } catch (error) {
        this.#end.reject(error);
        throw error;
      }
    })();
    return this.#stopping;
  }

  /**
   * Reads the configuration anew. Rejects with `CONFIG_INVALID`, `SECRET_INVALID`, `PLUGIN_INVALID` when it is wrong, or when a
   * restart is needed for it, and then nothing has changed. A new daemon that does not start gives its place back to one of the
   * old configuration; where that fails too, all has ended, and `stopped` rejects.
   */
  reload(): Promise<Reloaded> {
    const reloaded = this.#turn.catch(() => {}).then(() => this.#reload());
    this.#turn = reloaded;
    return reloaded;
  }

  /** Resolves when its queue has moved, and a reload that is under way is through. */
  async alive(): Promise<void> {
    await this.#turn.catch(() => {});
    await this.#daemon.alive();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #reload(): Promise<Reloaded> {
    const { load } = this.#options;
    const { config, plugins } = await load();
    const changed = changedSections(this.#config, config);
    const next = await this.#heir(config, plugins);
    const from = performance.now();
    this.#replacing = true;
    try {
      await this.#replace(next);
    } catch (error) {
      const { log = silentLogger } = this.#options;
      log.error({ error: messageOf(error) }, "the new configuration does not work; going back to the old one");
      await this.#goBack();
      throw error;
    } finally {
      this.#replacing = false;
      this.#follow(this.#daemon);
    }
    [this.#config, this.#plugins] = [config, plugins];
    return { changed, gap: Math.round(performance.now() - from) };
  }

  /** A daemon may end by itself: when nobody has confirmed its guard, or when it is told to over its control socket. */
  #follow(daemon: Daemon): void {
    const isOurs = (): boolean => daemon === this.#daemon && !this.#replacing;
    daemon.stopped.then(
      () => isOurs() && this.#end.resolve(),
      (error: unknown) => isOurs() && this.#end.reject(error),
    );
  }

  #heir(config: ServerConfig, plugins: readonly AnyPlugin[]): Promise<Daemon> {
    const { load: _, signal: __, ...rest } = this.#options;
    return createDaemon({ ...rest, config, plugins, succeeds: this.#daemon, reload: () => this.reload() });
  }

  async #replace(next: Daemon): Promise<void> {
    // What it could not end in order it has logged, and the other one finds it.
    await this.#daemon.handOver().catch((error: unknown) => {
      const { log = silentLogger } = this.#options;
      log.error({ error: messageOf(error) }, "while handing over");
    });
    await next.start();
    this.#daemon = next;
  }

  async #goBack(): Promise<void> {
    try {
      const back = await this.#heir(this.#config, this.#plugins);
      await back.start();
      this.#daemon = back;
    } catch (error) {
      await this.#daemon.abandon().catch(() => {});
      this.#end.reject(error);
      throw error;
    }
  }
}
