/**
 * The one error class of wkfs and the table of its codes. Programs and tests look at `code`; the
 * text is for the person who reads it, names what is at fault and ends in what to do next (`hint`).
 */
export type ErrorCode =
  /**
   * A configuration file is missing, unreadable, not YAML, or says something it must not. Thrown by `loadServerConfig`,
   * `checkServerConfig`, `loadClientConfig`, `createDaemon` and `createGateway`; names file, line, plugin and key.
   */
  | "CONFIG_INVALID"
  /**
   * A secret or key file is missing, malformed, or readable by people it should not be. Thrown by `readSecret` and `readKeys`,
   * and by a plugin's `create` that finds the text unfit. Never quotes the text.
   */
  | "SECRET_INVALID"
  /**
   * A plugin is unknown, of another API version or kind, named twice, or broke its contract: it made no implementation of its
   * kind, or threw what is no `WkfsError`. Thrown by core for the plugin, which it names; plugins do not throw it.
   */
  | "PLUGIN_INVALID"
  /** A call of a plugin took longer than it may. Thrown by core for the plugin; names plugin, call and limit. */
  | "PLUGIN_TIMEOUT"
  /** The text is no IP address that a lease can be for. Thrown by `parseAddress` and `parseNetwork`. */
  | "ADDRESS_INVALID"
  /**
   * The packet filter refused a transaction, or its program failed or is missing. Thrown by every method of a firewall, and by
   * core when no firewall takes the family of a lease.
   */
  | "FIREWALL_FAILED"
  /** The packet filter has no room for another lease. Thrown by a firewall's `apply`, which then changed nothing. */
  | "FIREWALL_FULL"
  /** The store cannot be opened, is damaged, is not open, or refused a write. Thrown by every method of a store. */
  | "STORE_FAILED"
  /** No daemon took the request over the transport: nothing was opened. Thrown by a transport's `call`. */
  | "TRANSPORT_UNREACHABLE"
  /**
   * The transport's peer broke off, was silent, said too much, or is not who it should be: something may have been opened.
   * Thrown by a transport's `call`; and by its `listen`, which then does not listen.
   */
  | "TRANSPORT_FAILED"
  /** A notification could not be delivered and is tried again. Thrown by a notifier's `notify`, also when it is called off. */
  | "NOTIFY_FAILED"
  /** A notification was refused for good: trying again is no use, and it is dropped. Thrown by a notifier's `notify`. */
  | "NOTIFY_REJECTED"
  /** The server refused the knock, or its answer makes no sense. Thrown by the client. */
  | "KNOCK_REFUSED"
  /** The server cannot close ports before their deadline, as the PHP program's cannot. Thrown by the client. */
  | "CLOSE_UNSUPPORTED"
  /** The server could not be reached, or did not answer in time. Thrown by the client. */
  | "SERVER_UNREACHABLE"
  /** No daemon answers on its control socket. Thrown by what asks it there. */
  | "DAEMON_UNREACHABLE"
  /** The daemon does not know, or could not do, what was asked over its control socket; or what answers there is none. Thrown by what asks there. */
  | "CONTROL_FAILED"
  /**
   * Nothing is guarded, since nobody confirmed the guard in time, or somebody called it off. Thrown by a daemon's `start`, which
   * then has taken everything out of the packet filter, by its `stopped` when that happens later, and by what confirms too late.
   */
  | "NOT_CONFIRMED"
  /** A program, a right or a kernel feature that is needed is missing on this host. Thrown by plugins, by the gateway and by the command line. */
  | "HOST_UNSUPPORTED"
  /** A part was used before `start`, after `stop`, or twice. Thrown by roles, and by a transport that was closed. */
  | "STATE_INVALID";

/** What an error may carry beside its code and text. */
export interface ErrorDetails {
  /** What to do next, as one sentence for the administrator. */
  readonly hint?: string;
  /** What was thrown below. */
  readonly cause?: unknown;
}

/** Every error that core and its plugins throw on purpose. Programs look at `code`, and know it by `isWkfsError`. */
export class WkfsError extends Error {
  override readonly name = "WkfsError";
  readonly code: ErrorCode;
  /** What to do next, as one sentence for the administrator. */
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.hint = details.hint;
  }
}

/** True for a `WkfsError`, also one of another copy of core; of the given code, when one is given. */
export function isWkfsError(value: unknown, code?: ErrorCode): value is WkfsError {
  return (
    value instanceof Error &&
    value.name === "WkfsError" &&
    "code" in value &&
    (code === undefined || value.code === code)
  );
}

/** The text of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
