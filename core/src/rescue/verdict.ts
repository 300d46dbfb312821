import { WkfsError } from "../model/errors.ts";
import type { ActivationRecord } from "./record.ts";

/** Whether a daemon may guard. */
export type Verdict =
  | { readonly guard: "for good" }
  /** `left` in ms, by a clock that nobody sets. */
  | { readonly guard: "on probation"; readonly left: number }
  | { readonly guard: "never"; readonly because: string };

/**
 * What the record says to a daemon that starts in this boot at this time, in ms since the epoch. Who never used `wkfs activate`
 * has no record, and is guarded.
 */
export function verdictOn(record: ActivationRecord | undefined, now: number, bootId: string): Verdict {
  switch (record?.stage) {
    case undefined:
    case "confirmed":
      return { guard: "for good" };
    case "ended":
      return never("the guard was taken down by `wkfs rescue`, or because nobody confirmed it in time");
    case "panic":
      return never("`wkfs panic` opened the ports");
    case "probation": {
      if (record.bootId !== bootId) return never("the host was rebooted before anybody confirmed the guard");
      const left = record.until - now;
      if (left <= 0) return never(`nobody confirmed the guard within ${record.seconds} s`);
      // A clock that was set back makes it no longer.
      return { guard: "on probation", left: Math.min(left, record.seconds * 1000) };
    }
  }
}

function never(because: string): Verdict {
  return { guard: "never", because };
}

/** The error of a daemon that does not guard, or no longer. */
export function notConfirmed(because: string): WkfsError {
  return new WkfsError("NOT_CONFIRMED", `the ports are not guarded: ${because}`, {
    hint: "`wkfs activate` begins anew; where it was `wkfs panic`, `wkfs panic --over` goes back to what was confirmed before.",
  });
}
