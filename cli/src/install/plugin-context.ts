import { isAbsolute, resolve } from "node:path";
import type { AnyPlugin, Logger, PluginContext } from "@wkfs/core";
import { checkConfig, readSecret } from "@wkfs/core/config";
import { loadPlugins } from "../plugins.ts";
import type { Section, ServerAnswers } from "./answers.ts";

/** A plugin that is asked something before there is a daemon. */
export interface Prepared {
  readonly plugin: AnyPlugin;
  /** Checked, as the plugin's methods take it. */
  readonly config: unknown;
  readonly context: PluginContext;
}

const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** Loads the plugin of a section and checks the section. Throws `CONFIG_INVALID`, `PLUGIN_INVALID`. */
export async function prepared(
  { use, ...config }: Section,
  { tcp, udp, maxTime }: ServerAnswers,
  { folder, dataDir, signal }: { readonly folder: string; readonly dataDir: string; readonly signal: AbortSignal },
): Promise<Prepared> {
  const source = { locate: () => `the section of ${use}` };
  const [plugin] = await loadPlugins([{ use, config, path: [] }], source, dataDir);
  const { events: _, ...own } = config;
  return {
    plugin: plugin!,
    config: await checkConfig(plugin!.configSchema, own, source),
    context: {
      log: SILENT,
      clock: {
        now: () => Date.now(),
        steady: () => performance.now(),
        setTimer(delay, callback) {
          const timer = setTimeout(callback, delay);
          return () => clearTimeout(timer);
        },
      },
      signal,
      protect: { tcp, udp },
      maxTime,
      readSecret: (path) => readSecret(isAbsolute(path) ? path : resolve(folder, path)),
    },
  };
}
