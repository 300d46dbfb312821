// Writes cli/bundle/client-side.js, see cli/src/client-side.ts. Not made smaller: a stack trace is to be read.
import { join } from "node:path";
import { build } from "rolldown";

const cli = join(import.meta.dirname, "..", "cli");
await build({
  input: join(cli, "dist", "client-side.js"),
  platform: "node",
  output: { dir: join(cli, "bundle"), format: "esm", codeSplitting: false },
  logLevel: "warn",
});
