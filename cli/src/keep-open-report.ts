import type { ClientEvent, KnockResult } from "@wkfs/core/client";
import { formatDelay } from "./duration.ts";
import { failureJson, failureOf, failureText } from "./failure.ts";
import { formatTime, openedPorts } from "./open-report.ts";

/**
 * Makes the report of `wkfs client`: one line an event. For people, what was opened goes to stdout and what failed to
 * stderr; for programs everything is JSON on stdout, with `time` in milliseconds since the epoch.
 */
export function keepOpenReport(json: boolean): (event: ClientEvent) => void {
  return (event) => {
    const { type, time } = event;
    if (type !== "failed") {
      const { result, renewIn } = event;
      if (json) process.stdout.write(`${JSON.stringify({ time, type, result, renewIn })}\n`);
      else
        process.stdout.write(
          `${formatTime(time / 1000)} ${type} ${openedText(result)}, next in ${formatDelay(renewIn)}\n`,
        );
      return;
    }
    if (!json) return failedLine(event);
    const { error, retryIn } = event;
    const failure = failureJson(failureOf(error, "wkfs client"));
    process.stdout.write(`${JSON.stringify({ time, type, error: failure, retryIn })}\n`);
  };
}

/** Says on stderr what failed. */
export function failedLine({ time, error, retryIn }: Extract<ClientEvent, { type: "failed" }>): void {
  const text = failureText(failureOf(error, "wkfs client")).replaceAll("\n", " ");
  process.stderr.write(`${formatTime(time / 1000)} failed, next try in ${formatDelay(retryIn)}: ${text}\n`);
}

function openedText({ ip, expires, ports }: KnockResult): string {
  const { names, missing } = openedPorts({ ports });
  return `${names} for ${ip} until ${formatTime(expires)}${missing}`;
}
