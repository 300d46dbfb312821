/**
 * The one error class of wkfs and the table of its codes. Programs and tests look at `code`; the
 * text is for the person who reads it, names what is at fault and ends in what to do next (`hint`).
 */
export type ErrorCode =
  /** A configuration file is missing, unreadable, not YAML, or says something it must not. */
  | "CONFIG_INVALID"
  /** A secret or key file is missing, malformed, or readable by people it should not be. */
  | "SECRET_INVALID"
  /** A plugin is unknown, of another API version or kind, named twice, or broke its contract. */
  | "PLUGIN_INVALID"
  /** A plugin call took longer than it may. */
  | "PLUGIN_TIMEOUT"
  /** The text is no IP address that a lease can be for. */
  | "ADDRESS_INVALID"
  /** The packet filter refused a transaction, or its program failed or is missing. */
  | "FIREWALL_FAILED"
  /** The packet filter has no room for another lease. */
  | "FIREWALL_FULL"
  /** The store cannot be opened, is damaged, or refused a write. */
  | "STORE_FAILED"
  /** The daemon could not be reached over the transport. */
  | "TRANSPORT_UNREACHABLE"
  /** The transport's peer broke off, was silent, said too much, or is not who it should be. */
  | "TRANSPORT_FAILED"
  /** A notification could not be delivered; it is tried again. */
  | "NOTIFY_FAILED"
  /** A notification was refused for good; trying again is no use. */
  | "NOTIFY_REJECTED"
  /** The server refused the knock, or its answer makes no sense. */
  | "KNOCK_REFUSED"
  /** The server could not be reached, or did not answer in time. */
  | "SERVER_UNREACHABLE"
  /** No daemon answers on its control socket. */
  | "DAEMON_UNREACHABLE"
  /** The daemon does not know, or could not do, what was asked over its control socket; or what answers there is none. */
  | "CONTROL_FAILED"
  /** A program, a right or a kernel feature that is needed is missing on this host. */
  | "HOST_UNSUPPORTED"
  /** A part was used before `start`, after `stop`, or twice. */
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
