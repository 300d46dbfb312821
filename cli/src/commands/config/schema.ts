import { WkfsCommand } from "../../command.ts";
import { exitCodesHelp } from "../../exit-codes.ts";
import { everyPlugin } from "../../plugins.ts";

export default class ConfigSchemaCommand extends WkfsCommand {
  static override summary = "Print the JSON Schema of the server's configuration, for editors.";
  static override description = `Includes the plugins that are bundled and those that are installed.

${exitCodesHelp("ok", "unexpected", "invalid")}`;
  static override examples = [
    {
      description:
        "Have an editor complete and check the file; its first line is then: # yaml-language-server: $schema=wkfs.schema.json",
      command: "<%= config.bin %> <%= command.id %> > wkfs.schema.json",
    },
  ];

  async run(): Promise<object> {
    await this.parse(ConfigSchemaCommand);
    const { serverJsonSchema } = await import("@wkfs/core/config");
    const schema = serverJsonSchema(await everyPlugin(this.config.dataDir));
    this.log(JSON.stringify(schema, undefined, 2));
    return schema;
  }
}
