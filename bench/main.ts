// Measures wkfs beside what it is compared with and prints one table. See README.md beside this file.
import { constants } from "node:os";
import { Bench, type Family } from "./bench.ts";
import { describeMachine, machineText } from "./machine.ts";
import { type BenchOptions, USAGE, readOptions } from "./options.ts";
import { ending } from "./rows/ending.ts";
import { gateway } from "./rows/gateway.ts";
import { idle } from "./rows/idle.ts";
import { knock } from "./rows/knock.ts";
import { leases } from "./rows/leases.ts";
import { memory } from "./rows/memory.ts";
import { packet } from "./rows/packet.ts";
import { restart } from "./rows/restart.ts";
import { startUp } from "./rows/start-up.ts";
import { Stage } from "./stage.ts";
import { jsonOf, tableOf } from "./table.ts";

const FAMILIES: readonly Family[] = [knock, leases, ending, packet, gateway, memory, restart, idle, startUp];

/** Gives the exit code: 1 when a row that was to be measured could not be. */
async function run({ scale, only, json }: BenchOptions, signal: AbortSignal): Promise<number> {
  await using stage = await Stage.set(signal);
  const bench = new Bench(stage, scale, only);
  const machine = describeMachine(stage.folder);
  const work = (async () => {
    for (const family of FAMILIES) {
      if (!bench.wants(family.name)) continue;
      const started = performance.now();
      await measure(family, bench);
      bench.progress(`${family.name}: ${((performance.now() - started) / 1000).toFixed(1)} s`);
    }
  })();
  // Whatever is under way when a signal comes is left where it is: the stage takes the ground from under it.
  const interrupted = new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  await Promise.race([work, interrupted]);
  if (bench.rows.length === 0) {
    process.stderr.write(
      `No row begins with ${only.join(" or ")}. Families of rows: ${FAMILIES.map(({ name }) => name).join(", ")}.\n`,
    );
    return 2;
  }
  process.stdout.write(
    json ? `${jsonOf(machine, bench.rows)}\n` : `${machineText(machine)}\n\n${tableOf(bench.rows)}\n`,
  );
  return bench.rows.some(({ failure }) => failure !== undefined) ? 1 : 0;
}

/** A family that fails is a row that says so, and costs the others nothing. */
async function measure(family: Family, bench: Bench): Promise<void> {
  try {
    await family.measure(bench);
  } catch (error) {
    bench.stage.signal.throwIfAborted();
    const failure = error instanceof Error ? error.message : String(error);
    process.stderr.write(`${family.name}: ${error instanceof Error ? error.stack : failure}\n`);
    bench.rows.push({ id: family.name, what: family.name, unit: "ms", value: undefined, failure });
  }
}

async function main(): Promise<number> {
  let options: BenchOptions | "help";
  try {
    options = readOptions(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    return 2;
  }
  if (options === "help") {
    process.stdout.write(USAGE);
    return 0;
  }
  if (process.platform !== "linux" || process.getuid?.() !== 0) {
    process.stderr.write("The benchmarks make network namespaces: run them on Linux, as root.\n");
    return 2;
  }
  const controller = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, () => controller.abort(name));
  try {
    return await run(options, controller.signal);
  } catch (error) {
    if (!controller.signal.aborted) throw error;
    return 128 + constants.signals[controller.signal.reason as "SIGINT" | "SIGTERM" | "SIGHUP"];
  }
}

process.exit(await main());
