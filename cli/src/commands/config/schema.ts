import * as Flags from "@oclif/core/flags";
import { WkfsCommand } from "../../command.ts";
import { exitCodesHelp } from "../../exit-codes.ts";
import { everyPlugin } from "../../plugins.ts";

export default class ConfigSchemaCommand extends WkfsCommand {
  static override summary = "Print the JSON Schema of the configuration, for editors.";
  static override description = `That of the server includes the plugins that are bundled and those that are installed.

${exitCodesHelp("ok", "unexpected", "invalid")}`;
  static override examples = [
    {
      description:
        "Have an editor complete and check the file; its first line is then: # yaml-language-server: $schema=wkfs.schema.json",
      command: "<%= config.bin %> <%= command.id %> > wkfs.schema.json",
    },
  ];

  static override flags = {
    client: Flags.boolean({ description: "That of a client's configuration, in place of the server's." }),
  };

  async run(): Promise<object> {
    const { flags } = await this.parse(ConfigSchemaCommand);
    const { clientJsonSchema, serverJsonSchema } = await import("@wkfs/core/config");
    const schema = flags.client ? clientJsonSchema() : serverJsonSchema(await everyPlugin(this.config.dataDir));
    this.log(JSON.stringify(schema, undefined, 2));
    return schema;
  }
}
