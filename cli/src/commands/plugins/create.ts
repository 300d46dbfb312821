import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import * as Args from "@oclif/core/args";
import * as Flags from "@oclif/core/flags";
import { WkfsError } from "@wkfs/core";
import { WkfsCommand } from "../../command.ts";
import { exitCodesHelp } from "../../exit-codes.ts";
import { bundledNames } from "../../plugins.ts";
import { KINDS, filesOf, packageNameOf } from "../../plugin-package/plugin-package.ts";

export default class PluginsCreateCommand extends WkfsCommand {
  static override summary = "Write a package for a plugin of your own: it works, is tested, and is yours to change.";
  static override description = `Writes the folder wkfs-plugin-NAME with code, tests on the conformance suite, README and a CI file. Then: npm install, npm test, npm pack.

${exitCodesHelp("ok", "unexpected", "invalid")}`;
  static override examples = [
    {
      description: "A notifier that the configuration calls `use: pager`",
      command: "<%= config.bin %> <%= command.id %> pager --kind notifier",
    },
  ];
  static override args = {
    name: Args.string({ required: true, description: "What `use:` will say: small letters, digits and dashes." }),
  };
  static override flags = {
    kind: Flags.option({ options: KINDS, required: true, description: "Which contract it keeps." })(),
    dir: Flags.string({ helpValue: "DIR", default: ".", description: "Where the folder is made." }),
  };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(PluginsCreateCommand);
    const { name } = args;
    if (!/^[a-z0-9][a-z0-9-]{0,59}$/.test(name)) {
      throw new WkfsError("CONFIG_INVALID", `"${name}" is no name for a plugin`, {
        hint: "Give small letters, digits and dashes, at most 60.",
      });
    }
    if (bundledNames().includes(name)) {
      throw new WkfsError("CONFIG_INVALID", `"${name}" comes with wkfs: nobody could use another of that name`, {
        hint: "Give another name.",
      });
    }
    const folder = resolve(flags.dir, packageNameOf(name));
    const { dependencies } = JSON.parse(await readFile(join(this.config.root, "package.json"), "utf8")) as {
      readonly dependencies: { readonly zod: string };
    };
    const files = await filesOf({
      name,
      kind: flags.kind,
      templates: join(this.config.root, "templates"),
      wkfs: this.config.version,
      zod: `^${dependencies.zod}`,
    });
    await mkdir(dirname(folder), { recursive: true });
    await mkdir(folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
      throw new WkfsError("CONFIG_INVALID", `${folder} is there already`, {
        hint: "Give another name, or another place with --dir.",
      });
    });
    for (const [path, text] of Object.entries(files)) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), text);
    }
    this.log(`Written: ${folder}\nNext: cd ${folder} && npm install && npm test`);
    return { folder, files: Object.keys(files) };
  }
}
