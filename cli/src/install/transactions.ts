import { type Firewall, messageOf } from "@wkfs/core";
import type { ServerAnswers } from "./answers.ts";
import { prepared } from "./plugin-context.ts";

/** What a firewall would write when the daemon starts, as text that a shell runs; or why that cannot be said. */
export interface Rehearsed {
  readonly use: string;
  readonly text: string | undefined;
  readonly fault: string | undefined;
}

/** Milliseconds that all of it may take. */
const TIME_LIMIT = 30_000;

/** Reads the packet filter and changes nothing: each firewall is attached to what it holds in memory. */
export async function rehearse(
  answers: ServerAnswers,
  place: { readonly folder: string; readonly dataDir: string },
): Promise<Rehearsed[]> {
  const signal = AbortSignal.timeout(TIME_LIMIT);
  return await Promise.all(
    answers.firewalls.map(async (entry) => {
      const { use } = entry;
      try {
        const { plugin, config, context } = await prepared(entry, answers, { ...place, signal });
        if (plugin.rehearse === undefined)
          return { use, text: undefined, fault: "this plugin cannot say beforehand what it would do" };
        const printed: string[] = [];
        const firewall = (await plugin.rehearse(config as never, context, (text) => printed.push(text))) as Firewall;
        await firewall.attach();
        return { use, text: printed.map((text) => `${text}\n`).join(""), fault: undefined };
      } catch (error) {
        return { use, text: undefined, fault: messageOf(error) };
      }
    }),
  );
}
