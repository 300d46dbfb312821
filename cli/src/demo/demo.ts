import { existsSync } from "node:fs";
import { interruption } from "./interruption.ts";
import { isInstalled, lookForMeans, pathWithSystemPrograms } from "./means.ts";
import { Stage } from "./stage.ts";
import { Story } from "./story.ts";

/** Tells the whole story and cleans up. Gives the exit code; rejects when a step was not as told. */
export async function runDemo(): Promise<number> {
  const started = Date.now();
  const { signal, exitCode } = interruption();
  const story = new Story(signal);
  process.env["PATH"] = pathWithSystemPrograms(process.env["PATH"] ?? "");
  let folder: string | undefined;
  try {
    const means = await lookForMeans();
    await using stage = await Stage.set(signal, isInstalled("setpriv"));
    folder = stage.dir;
    if (means.kind === "kernel") {
      const { kernelStory } = await import("./kernel-story.ts");
      await kernelStory(story, stage, means);
    } else {
      const { dryStory } = await import("./dry-story.ts");
      story.line(`No demo on the kernel here: ${means.lack}. To see it: ${means.remedy}.`);
      await dryStory(story, stage);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    process.stderr.write("\nInterrupted; ");
  }
  if (folder !== undefined && existsSync(folder)) throw new Error(`${folder} could not be removed`);
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  if (signal.aborted) process.stderr.write("programs, hosts and keys of the demo are gone.\n");
  else story.line(`\nThat was all, in ${seconds} s; programs, hosts and keys of the demo are gone.`);
  return signal.aborted ? exitCode() : 0;
}
