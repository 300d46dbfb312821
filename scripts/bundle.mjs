// Writes cli/bundle: the command line with oclif, core and the bundled plugins in a few files, since Node takes longer to find
// and link hundreds of modules than a knock takes. Not made smaller: a stack trace is to be read.
import { globSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { build } from "rolldown";

const root = join(import.meta.dirname, "..");
const dist = join(root, "cli", "dist");
const dir = join(root, "cli", "bundle");
const common = {
  platform: "node",
  // Modules of ours do nothing when they are imported, so one that nobody uses is left out.
  treeshake: { moduleSideEffects: [{ test: /[\\/](core|plugins[\\/][\w-]+|cli)[\\/]dist[\\/]/, sideEffects: false }] },
  logLevel: "warn",
};

// One file of its own, with less in it than what the servers share: see cli/src/client-side.ts.
const client = await build({
  ...common,
  input: join(dist, "client-side.js"),
  output: { dir, format: "esm", codeSplitting: false },
});

// Commands and hooks keep their places, where oclif looks for them. By their sources, since dist may hold what was deleted.
const sources = globSync("{commands,hooks}/**/*.ts", { cwd: join(root, "cli", "src") });
const entries = Object.fromEntries(
  sources.map((file) => file.slice(0, -3)).map((name) => [name, join(dist, `${name}.js`)]),
);
const servers = await build({
  ...common,
  input: {
    ...entries,
    run: join(dist, "run.js"),
    "lent-core": join(dist, "lent-core.js"),
    // Beside the chunk that starts it: core looks for it in its own folder.
    worker: join(root, "core", "dist", "src", "gateway", "worker.js"),
  },
  // restify finds its modules by itself; the command line depends on it for that reason alone. oclif may do without
  // TypeScript, and where it uses one, that is the one of a plugin's author. The demonstration starts modules of its own by their place.
  external: ["restify", "typescript", "#client-side", "#demo"],
  plugins: [sortedWithoutIcu()],
  output: {
    dir,
    format: "esm",
    chunkFileNames: ({ facadeModuleId, name }) =>
      `${/plugins[\\/]([\w-]+)[\\/]dist/.exec(facadeModuleId ?? "")?.[1] ?? name}.js`,
    codeSplitting: {
      groups: [{ name: "frame", test: /[\\/]@oclif[\\/]core[\\/]|[\\/]cli[\\/]dist[\\/](command|failure|flags)\.js/ }],
    },
  },
});

// What an earlier build left is no command any more.
const written = new Set([...client.output, ...servers.output].map(({ fileName }) => fileName));
for (const entry of readdirSync(dir, { recursive: true, withFileTypes: true })) {
  const path = join(entry.parentPath, entry.name);
  if (entry.isFile() && !written.has(path.slice(dir.length + 1))) rmSync(path);
}

/** oclif sorts the names of commands by the rules of a language. The first time that costs a third of a start of Node. */
function sortedWithoutIcu() {
  const slow = "a.id.localeCompare(b.id)";
  return {
    name: "sorted-without-icu",
    transform: {
      filter: { id: /[\\/]@oclif[\\/]core[\\/]lib[\\/]config[\\/]plugin\.js$/ },
      handler(code) {
        if (!code.includes(slow))
          throw new Error("oclif sorts commands in another way now: look at scripts/bundle.mjs");
        return code.replace(slow, "(a.id < b.id ? -1 : 1)");
      },
    },
  };
}
