import type { Firewall } from "./firewall.ts";
import type { Notifier } from "./notifier.ts";
import type { Store } from "./store.ts";
import type { Transport } from "./transport.ts";
import type { ProtectedPorts } from "../model/port.ts";

/** Version of all the contracts of this folder. It changes when a plugin must change. */
export const API_VERSION = 1;

/** What a plugin of each kind makes. */
export interface PluginKinds {
  readonly firewall: Firewall;
  readonly notifier: Notifier;
  readonly transport: Transport;
  readonly store: Store;
}
/** Which contract a plugin fulfils. */
export type PluginKind = keyof PluginKinds;

/** Structured log: data first, then the sentence. Never hand it a secret. */
export interface Logger {
  debug(data: object, message: string): void;
  info(data: object, message: string): void;
  warn(data: object, message: string): void;
  error(data: object, message: string): void;
}

/** Time, so that tests can hold it. */
export interface Clock {
  /** Milliseconds since the epoch. Somebody may set it, forward or back. */
  now(): number;
  /** Milliseconds since some moment: only differences count, and nobody sets it. */
  steady(): number;
  /** Calls back once after `delay` milliseconds; the function returned calls it off. */
  setTimer(delay: number, callback: () => void): () => void;
}

/** What core gives to every plugin that it makes. */
export interface PluginContext {
  /** A child logger that carries the plugin's name. */
  readonly log: Logger;
  /** In place of `Date` and `setTimeout`. */
  readonly clock: Clock;
  /** Aborts when the role stops: pending work of the plugin may end with it. */
  readonly signal: AbortSignal;
  /** What the server protects. A firewall closes these; other kinds may show them. */
  readonly protect: ProtectedPorts;
  /** Longest lease in seconds. */
  readonly maxTime: number;
  /**
   * Reads a secret that the configuration names by path: the file's text less one trailing newline.
   * Refuses a file that everybody on the host can read. Throws `SECRET_INVALID`.
   */
  readSecret(path: string): Promise<string>;
}

/** The part of a Standard Schema (zod 4 is one) that core uses to check a plugin's configuration. */
export interface ConfigSchema<Config> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    validate(value: unknown): SchemaResult<Config> | Promise<SchemaResult<Config>>;
    readonly types?: { readonly input: unknown; readonly output: Config } | undefined;
    /** Standard JSON Schema: what `wkfs config schema` shows of the plugin. Without it only its name is known there. */
    readonly jsonSchema?: { input(options: { readonly target: "draft-2020-12" }): Readonly<Record<string, unknown>> };
  };
}
/** What a check gives: the value as the plugin gets it, or what is wrong. */
export type SchemaResult<Config> =
  | { readonly value: Config; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };
/** One fault of a configuration. */
export interface SchemaIssue {
  /** What is wrong, in words for the administrator; core adds file, line, plugin and path. */
  readonly message: string;
  /** Where, from the plugin's own section on. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/**
 * A plugin: the default export of its package. The life of one, in order:
 *
 * 1. Core reads `name`, `apiVersion` and `kind` and refuses what does not fit, before it runs any of
 *    the plugin's code. Nothing may happen on import.
 * 2. `configSchema` checks what stands beside `use: <name>` in the configuration. No side effects;
 *    a strict schema makes a misspelt key an error.
 * 3. `create` makes the implementation. It may read secrets; it must not touch the host yet: a
 *    check of the configuration goes this far.
 * 4. The contract's first method (`attach`, `open`, `listen`) touches the host.
 * 5. Use, as the contract says. Each call has a time limit of core's.
 * 6. The contract's last method ends it. After that nothing of it is called.
 */
export interface Plugin<Kind extends PluginKind, Config> {
  /** What `use:` says: the package's name without its scope. */
  readonly name: string;
  /** `API_VERSION` of the contracts that it was written for. */
  readonly apiVersion: number;
  /** Which contract `create` fulfils. */
  readonly kind: Kind;
  /** Checks what stands beside `use:`. */
  readonly configSchema: ConfigSchema<Config>;
  /**
   * Makes the implementation, within 30 s; see 3 above. What it throws stops the start; give it the code `CONFIG_INVALID`,
   * `SECRET_INVALID` or `HOST_UNSUPPORTED`.
   */
  create(config: Config, context: PluginContext): PluginKinds[Kind] | Promise<PluginKinds[Kind]>;
  /**
   * For a firewall that can say beforehand what it would do. What it makes holds what the host held at that moment, keeps
   * every change to itself, and hands the text of each transaction to `print` before it takes it: text that a shell runs,
   * with the same effect. A dry run prints it.
   */
  rehearse?(config: Config, context: PluginContext, print: (text: string) => void): Promise<PluginKinds[Kind]>;
}

/** A plugin of any kind and configuration, as core holds them. */
export interface AnyPlugin {
  readonly name: string;
  readonly apiVersion: number;
  readonly kind: PluginKind;
  readonly configSchema: ConfigSchema<unknown>;
  create(config: never, context: PluginContext): PluginKinds[PluginKind] | Promise<PluginKinds[PluginKind]>;
  rehearse?(config: never, context: PluginContext, print: (text: string) => void): Promise<PluginKinds[PluginKind]>;
}

/** Adds types and nothing else: what you pass is what you export. */
export function definePlugin<Kind extends PluginKind, Config>(plugin: Plugin<Kind, Config>): Plugin<Kind, Config> {
  return plugin;
}
