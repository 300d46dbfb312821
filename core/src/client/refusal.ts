import { WkfsError } from "../model/errors.ts";
import { TIME_WINDOW } from "../protocol/messages.ts";
import type { Response } from "./http.ts";

const HINTS: Record<number, string> = {
  301: "The URL is redirected; give the address that it leads to.",
  302: "The URL is redirected; give the address that it leads to.",
  308: "The URL is redirected; give the address that it leads to.",
  400: "Something between here and the gateway took the request apart; check the URL.",
  404: "The path of the URL is not the gateway's; compare it with gateway.path on the server.",
  405: "Client and server speak different versions.",
  413: "Something between here and the gateway takes only smaller requests.",
  502: "The web server cannot reach the gateway: is `wkfs serve` running?",
  503: "The server is busy; try again in a moment.",
  504: "The gateway cannot reach the daemon: is `wkfs daemon` running on the server?",
};

/** True when a server that holds our keys does not know what we asked. */
export function knowsNot({ status, body }: Response): boolean {
  return status === 405 && Buffer.from(body).toString("latin1") === "Unknown 'api' option.";
}

/** An answer without a packet, as an error. `now` is the time of its coming, in ms since the epoch. */
export function refusedWith({ status, date }: Response, host: string, now: number): WkfsError {
  const code = status >= 500 ? "SERVER_UNREACHABLE" : "KNOCK_REFUSED";
  const text = `${host} answered with status ${status}`;
  if (status === 403) return forbidden(text, date === undefined ? undefined : Math.round((date - now) / 1000));
  return new WkfsError(code, text, { hint: HINTS[status] ?? "Look into the log of the web server." });
}

/**
 * A gateway says 403 and not why. The time that stands in its answer is in the clear and may be another's, so it opens nothing
 * and sets nothing; but it says whether to look at the clocks or at the keys. `ahead`: seconds that it is ahead of ours, in whole
 * seconds and a second old at most.
 */
function forbidden(text: string, ahead: number | undefined): WkfsError {
  if (ahead === undefined)
    return new WkfsError("KNOCK_REFUSED", text, {
      hint: "Check that both sides have the same key file, that this host's clock is right to 15 seconds, and that no proxy hides our address.",
    });
  if (Math.abs(ahead) < TIME_WINDOW)
    return new WkfsError("KNOCK_REFUSED", text, {
      hint: "Check that both sides have the same key file, and that no proxy hides our address; the clocks agree.",
    });
  const way = ahead > 0 ? "ahead of" : "behind";
  return new WkfsError(
    "KNOCK_REFUSED",
    `${text}; the server's clock seems to be ${lengthOf(Math.abs(ahead))} ${way} this one`,
    {
      hint: `Set the clock of the host that is wrong; they may be ${TIME_WINDOW} s apart. If both are right, check the key file.`,
    },
  );
}

/** `43 s`, `3 min 20 s`, `2 h 0 min`, `5 d 3 h`. */
function lengthOf(seconds: number): string {
  if (seconds < 120) return `${seconds} s`;
  const [large, small, name, part] =
    seconds < 7200
      ? ([60, 1, "min", "s"] as const)
      : seconds < 172_800
        ? ([3600, 60, "h", "min"] as const)
        : ([86_400, 3600, "d", "h"] as const);
  return `${Math.floor(seconds / large)} ${name} ${Math.floor((seconds % large) / small)} ${part}`;
}
