import { access } from "node:fs/promises";
import { type Found, error, note, ok } from "./finding.ts";
import { run } from "./run.ts";

/** What programs say about the clock; undefined where there is no such program, or it does not know. */
export interface ClockFacts {
  /** `timedatectl show --property=NTPSynchronized --value` */
  readonly timedatectl: string | undefined;
  /** `chronyc -c tracking` */
  readonly chronyc: string | undefined;
  /** Whether systemd-timesyncd has left its mark since the host came up. */
  readonly timesyncd: boolean;
}

/** Seconds by which clock and knock may differ, by the protocol. */
const WINDOW = 15;
/** From here on we say so: the client's clock may be as far off the other way. */
const OFF = 2;

const SET_UP = "timedatectl set-ntp true  # or install and start chrony";

export function clockFindings({ timedatectl, chronyc, timesyncd }: ClockFacts): Found[] {
  const tracking = chronyc?.trim().split(",");
  // Reference, name, stratum, time, seconds that the clock is off, …, and last the leap status.
  if (tracking !== undefined && tracking.length >= 14) {
    const off = Math.abs(Number(tracking[4]));
    if (tracking.at(-1) === "Not synchronised")
      return [error("chrony runs and has not set the clock by anybody's", "chronyc sources  # which of them answers")];
    if (off > OFF)
      return [error(`the clock is ${off.toFixed(1)} s off; a knock may be ${WINDOW} s off`, "chronyc makestep")];
    return [ok(`the clock is synchronised by chrony, ${(off * 1000).toFixed(1)} ms off`)];
  }
  if (timedatectl?.trim() === "yes" || timesyncd) return [ok("the clock is synchronised")];
  if (timedatectl?.trim() === "no")
    return [error(`the clock is set by nobody: a knock that is ${WINDOW} s off is refused`, SET_UP)];
  return [note(`whether the clock is right nobody says here: a knock that is ${WINDOW} s off is refused`, SET_UP)];
}

export async function readClock(): Promise<ClockFacts> {
  const [timedatectl, chronyc] = await Promise.all([
    run(["timedatectl", "show", "--property=NTPSynchronized", "--value"]),
    run(["chronyc", "-c", "tracking"]),
  ]);
  const mark = access("/run/systemd/timesync/synchronized").then(
    () => true,
    () => false,
  );
  const said = (ran: typeof chronyc) => (ran?.code === 0 ? ran.stdout : undefined);
  return { timedatectl: said(timedatectl), chronyc: said(chronyc), timesyncd: await mark };
}
