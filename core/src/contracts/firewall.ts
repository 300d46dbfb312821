import type { AddressFamily } from "../model/address.ts";
import { type KernelLease, type Lease, type LeaseKey, leaseId } from "../model/lease.ts";

/**
 * Writes leases into one packet filter. Calls do not overlap: core makes the next one when the last
 * has settled, but where there are `lanes`.
 *
 * 1. `attach` once, then again whenever `check` or `list` finds something missing.
 * 2. `apply`, `check` and `list` in any order while attached.
 * 3. `detach`, or `release` when the closed doors shall stay closed, and nothing after it.
 *
 * Every method rejects with `FIREWALL_FAILED` (or `FIREWALL_FULL`) when the kernel or the program
 * that speaks to it refuses; the text names the command and what it said.
 */
export interface Firewall {
  /** What it can do; the same all its life. */
  readonly capabilities: FirewallCapabilities;

  /**
   * Makes what leases hang on (chain, set, jump), or adopts what a former run left, leases included.
   * Idempotent; there is no moment in which a protected port is open. Undone by `detach`.
   * Resolves when the kernel holds all of it; with `empty` when it is sure that no lease stands, which core then need not
   * find out by reading. Each call says anew for how long, and `check` goes by the last one.
   */
  attach(options?: AttachOptions): Promise<FirewallAttached | void>;

  /**
   * Opens and closes leases as one transaction: all of it or none. Opening an open lease moves its
   * deadline; closing a closed one is no error. Resolves when the kernel has accepted it, never
   * before. After a rejection the kernel holds what it held. Undone by `apply(inverse(change))`.
   */
  apply(change: FirewallChange): Promise<void>;

  /**
   * Looks whether the hooks stand, and whether leases are gone, without reading every lease: counts them, or where that
   * is not cheap looks for those of `sample`, a few that must stand. Changes nothing.
   */
  check(sample?: readonly LeaseKey[]): Promise<FirewallCheck>;

  /**
   * Reads back everything that the kernel holds now. Changes nothing. A lease that stands may be missing from one
   * reading of a kernel that moves its elements about meanwhile: core reads again before it believes that.
   */
  list(): Promise<FirewallState>;

  /**
   * Ends this process's hold on the filter (child processes, files). What is in the kernel stays: the
   * ports stay closed and open leases end on their own, where the kernel ends them. A back end that
   * took rules of the administrator away puts them back here, unless a `successor` is to `attach` at once. Idempotent.
   */
  release(options?: ReleaseOptions): Promise<void>;

  /** The exact undo of `attach`, leases included, also of what a former run left. Idempotent. */
  detach(): Promise<void>;
}

/** How the hooks are made. */
export interface AttachOptions {
  /**
   * When the kernel itself stops to guard, whoever is dead by then: milliseconds since the epoch, rounded up to seconds.
   * What hangs in the filter stays there without effect until `detach`. Undefined: never. Only asked of a firewall whose
   * capabilities say `guardUntil`.
   */
  readonly guardUntil?: number | undefined;
}

/** How the hold on the filter ends. */
export interface ReleaseOptions {
  /** Whether another firewall of the same configuration attaches at once: what was taken away stays away for it. Default: false. */
  readonly successor?: boolean;
}

/** What a back end can do, as data: core asks for nothing beyond it. */
export interface FirewallCapabilities {
  /** Which addresses it can hold leases for. A lease goes to every firewall that takes its family. */
  readonly families: readonly AddressFamily[];
  /** Who ends a lease: `kernel`, also when the daemon is dead; or `core`, which then calls `apply`. See `step`. */
  readonly expiry: "kernel" | "core";
  /** Largest time left that the kernel takes, in seconds. */
  readonly maxTimeout: number;
  /** Steps in which the time left is read back, in milliseconds, and the largest to which it is rounded up when it is written. */
  readonly resolution: number;
  /**
   * Steps to which the time left is rounded up when a lease is written, in milliseconds: with it the kernel is trusted to end
   * by itself what it ends within 40 ms of its deadline, and core closes only the rest. Where it is absent core closes every lease.
   */
  readonly step?: number;
  /**
   * How many calls of `apply` it takes at the same time, of hundreds of leases each and none in common; one where it is absent.
   * Where there are several, `check` as well may be called while `apply` is under way.
   */
  readonly lanes?: number;
  /** Whether a lease may be for more than one host. */
  readonly prefixes: boolean;
  /** Whether `attach` takes `guardUntil`. Without it a guard that locks its administrator out is ended by a process alone. */
  readonly guardUntil?: boolean;
  /** Whether `list` gives `counters`. It is asked for them only when somebody wants to see them. */
  readonly counters?: boolean;
}

/** What `attach` found. */
export interface FirewallAttached {
  /** Whether it made what leases hang on anew, or found it without any. */
  readonly empty: boolean;
}

/** One transaction. No key stands in it twice. */
export interface FirewallChange {
  /** To be open until their deadline, whether they are open now or not. */
  readonly open: readonly Lease[];
  /** To be closed, whether they are open now or not. */
  readonly close: readonly LeaseKey[];
  /**
   * The leases among these that were open before, as they were: what a back end whose transactions
   * are not atomic needs to undo one that failed half way.
   */
  readonly before: readonly Lease[];
}

/** What a quick look found. */
export interface FirewallCheck {
  /** What is wrong with the hooks, in words for the log and the mail; empty when all stand. */
  readonly missing: readonly string[];
  /** Leases in the kernel, where counting is cheap. Ended ones that it has not swept may count. */
  readonly count: number | undefined;
  /** Where it does not count: those of the sample that the kernel does not hold. */
  readonly absent?: readonly LeaseKey[];
}

/** Everything that a packet filter holds of ours. */
export interface FirewallState {
  /** As in `FirewallCheck`. */
  readonly missing: readonly string[];
  /** Each key once. */
  readonly leases: readonly KernelLease[];
}

/** The change that takes `change` back: what was open is as it was, what was not is closed. */
export function inverse(change: FirewallChange): FirewallChange {
  const before = new Set(change.before.map(leaseId));
  const close = change.open.filter((lease) => !before.has(leaseId(lease)));
  return { open: change.before, close, before: change.open };
}
