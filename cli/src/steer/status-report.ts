import type { DaemonReport, Drift } from "@wkfs/core/daemon";
import { eventText, left, timeOf } from "./words.ts";

/** Times that the packet filter had been changed which are shown one by one. */
const DRIFT = 5;

/** A daemon's report as lines for people. */
export function statusLines({ now, since, pid, protect, ...report }: DaemonReport): string[] {
  const ports = [...protect.tcp.map((port) => `tcp/${port}`), ...protect.udp.map((port) => `udp/${port}`)];
  return [
    `daemon     runs for ${left(now - since)}, since ${timeOf(since)}, pid ${pid}`,
    `protects   ${ports.join(", ")}, for at most ${left(protect.maxTime * 1000)}`,
    `leases     ${report.leases} of at most ${report.mostLeases}`,
    ...report.firewalls.map(({ name, families, expiry, missing, held, error }) => {
      const state = error ?? (missing.length > 0 ? missing.join("; ") : "its hooks stand");
      const count = held === undefined ? "" : `, holds ${held}`;
      return `firewall   ${name} (${families.join(", ")}; ${expiry} ends leases${count}): ${state}`;
    }),
    `transport  ${report.transport.join(", ")}`,
    `store      ${report.store}`,
    ...report.notifiers.map(({ name, waiting, failures }) =>
      waiting === 0
        ? `notifier   ${name}: nothing waits`
        : `notifier   ${name}: ${waiting} wait${failures > 0 ? `, ${failures} tries in a row failed` : ""}`,
    ),
    `plugins    ${report.plugins.map(({ kind, use }) => `${use} (${kind})`).join(", ")}`,
    ...(report.drift.length === 0 ? ["drift      nothing was found changed in the last day"] : []),
    ...report.drift.slice(0, DRIFT).map((event) => `drift      ${timeOf(event.time)} ${driftText(event)}`),
    ...(report.drift.length > DRIFT
      ? [`drift      and ${report.drift.length - DRIFT} times more in the last day`]
      : []),
    ...report.latest.map((event) => `event      ${eventText(event).replaceAll("\n", "\n           ")}`),
  ];
}

function driftText(drift: Drift): string {
  if (drift.type === "failed") return `${drift.firewall}: failed: ${drift.what}`;
  return `${drift.firewall}: put right: ${drift.found.join("; ")}`;
}

/** Whether everything that it says is as it shall be. */
export function isWell({ firewalls, notifiers }: DaemonReport): boolean {
  return (
    firewalls.every(({ missing, error }) => missing.length === 0 && error === undefined) &&
    notifiers.every(({ failures }) => failures === 0)
  );
}
