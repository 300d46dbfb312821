import type { Hook } from "@oclif/core/hooks";
import { untrustedBecause } from "../data-dir.ts";
import { EXIT } from "../exit-codes.ts";

/** Before `wkfs plugins …`: nothing is put where somebody less privileged could change it. */
const hook: Hook.Init = async function init({ id, config }) {
  if (id === undefined || !/^plugins(:|$)/.test(id)) return;
  // A plugin is a few files of JavaScript: what npm would run on installing it is not needed.
  process.env["npm_config_ignore_scripts"] ??= "true";
  process.env["npm_config_update_notifier"] ??= "false";
  const reason = untrustedBecause(config.dataDir);
  if (reason === undefined) return;
  process.stderr.write(
    `Error: plugins are refused: ${reason}\n` +
      `Hint: Let ${config.dataDir} belong to root or to you with mode 0755, or set WKFS_DATA_DIR to a folder that does.\n`,
  );
  this.exit(EXIT.invalid);
};
export default hook;
