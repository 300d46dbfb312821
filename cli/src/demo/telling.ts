import { PORT } from "./family.ts";
import type { Ending } from "./program.ts";
import { type Story, expectThat } from "./story.ts";

/** When a knock began and when it was through, in milliseconds since the epoch: the lease began in between. */
export interface KnockTimes {
  readonly from: number;
  readonly to: number;
}

/** Shows a knock for so many seconds with all that it prints; it must open the port for this address. */
export async function tellKnock(
  story: Story,
  address: string,
  seconds: number,
  knock: (...flags: string[]) => Promise<Ending>,
): Promise<KnockTimes> {
  const flags = ["--tcp", String(PORT), "--time", String(seconds)];
  const from = Date.now();
  const { code, stdout, stderr } = await knock(...flags);
  story.ran(`wkfs client open ${flags.join(" ")}`, `${stdout}${stderr}`.trimEnd().split("\n"));
  expectThat(code === 0, `the knock ended with ${code}`);
  expectThat(stdout.startsWith(`tcp/${PORT} open for ${address} until `), "the knock opened something else");
  return { from, to: Date.now() };
}

/** Shows the lines of the daemon's log that are about this address: time, sentence, and the data in short. */
export function tellLog(story: Story, log: string, address: string): void {
  for (const line of log.split("\n")) {
    const { time, sentence, data } = parseLine(line);
    const about = line.includes(`"${address}"`) || line.includes(`"${address} `);
    if (about && data["plugin"] === undefined) story.note(`${time}  ${sentence}  ${JSON.stringify(data)}`);
  }
}

interface LogLine {
  readonly time: string;
  readonly sentence: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** A line of a log of wkfs; what is no JSON object is its sentence. */
export function parseLine(line: string): LogLine {
  try {
    const {
      time,
      msg,
      level: _level,
      name: _name,
      pid: _pid,
      hostname: _host,
      ...data
    } = JSON.parse(line) as Record<string, unknown>;
    return { time: String(time), sentence: String(msg), data };
  } catch {
    return { time: "", sentence: line, data: {} };
  }
}
