import { formatPort } from "@wkfs/core";
import type { CloseResult, KnockResult } from "@wkfs/core/client";
import { EXIT } from "./exit-codes.ts";

/** One line a port. */
export function openLines({ ip, ports, expires }: KnockResult): string[] {
  return ports.map(({ port, opened }) =>
    opened ? `${formatPort(port)} open for ${ip} until ${formatTime(expires)}` : `${formatPort(port)} not opened`,
  );
}

/** One line a port. */
export function closeLines({ ip, closed }: CloseResult): string[] {
  if (closed.length === 0) return [`nothing was open for ${ip}`];
  return closed.map((port) => `${formatPort(port)} closed for ${ip}`);
}

/** What was opened, for one line: `tcp/22 udp/1194`; and after it, where that was not all, `, not tcp/80`. */
export function openedPorts({ ports }: Pick<KnockResult, "ports">): {
  readonly names: string;
  readonly missing: string;
} {
  const names = (wanted: boolean) =>
    ports
      .filter(({ opened }) => opened === wanted)
      .map(({ port }) => formatPort(port))
      .join(" ");
  const missing = names(false);
  return { names: names(true), missing: missing && `, not ${missing}` };
}

export function openExitCode({ ports }: Pick<KnockResult, "ports">): number {
  if (!ports.some(({ opened }) => opened)) return EXIT.refused;
  return ports.every(({ opened }) => opened) ? EXIT.ok : EXIT.partly;
}

/** Seconds since the epoch, as `2026-01-31T12:00:00Z`. */
export function formatTime(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(/\.\d+Z$/, "Z");
}
