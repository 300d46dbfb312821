const SECONDS = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

/** Most seconds that a lease can last; more than that the kernel does not count. */
export const LONGEST = 2_147_483;

/** Reads seconds, or a text such as `90s`, `10m`, `2h`; undefined for anything else, nothing and too much. */
export function parseDuration(text: string): number | undefined {
  const [, digits, unit = "s"] = /^(\d{1,9})([smhd])?$/.exec(text) ?? [];
  if (digits === undefined) return undefined;
  const seconds = Number(digits) * SECONDS[unit as keyof typeof SECONDS];
  return seconds >= 1 && seconds <= LONGEST ? seconds : undefined;
}

/** A time from now in milliseconds, for people. */
export function formatDelay(milliseconds: number): string {
  return milliseconds < 10_000 ? `${(milliseconds / 1000).toFixed(1)} s` : `${Math.round(milliseconds / 1000)} s`;
}
