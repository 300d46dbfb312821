import { registerHooks } from "node:module";

let lent = false;

/**
 * Core, and oclif for a plugin's own commands, are optional peers of plugins, so that npm does not put a second one beside
 * them. An import of these that leads nowhere from a plugin's own place leads to ours.
 */
export function lendCore(): void {
  if (lent) return;
  lent = true;
  const ours = import.meta.resolve("#lent-core");
  registerHooks({
    resolve(specifier, context, next) {
      if (!/^@(wkfs|oclif)\/core(\/|$)/.test(specifier)) return next(specifier, context);
      try {
        return next(specifier, context);
      } catch {
        // The very one that runs, so that nothing of it is there twice.
        if (specifier === "@wkfs/core") return { url: ours, shortCircuit: true };
        return next(specifier, { ...context, parentURL: import.meta.url });
      }
    },
  });
}
