// Writes cli/oclif.manifest.json, from which oclif knows the commands without loading every one of them: a third of the
// time of `wkfs --help`. Part of the build, because a manifest that is older than the commands hides new ones.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Config } from "@oclif/core";

const root = join(import.meta.dirname, "..", "cli");
const config = await Config.load({ root, userPlugins: false, ignoreManifest: true });
const { manifest } = config.plugins.get(config.pjson.name);
writeFileSync(join(root, "oclif.manifest.json"), `${JSON.stringify(manifest)}\n`);
