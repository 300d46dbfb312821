import { z } from "zod";
import { commandSchema } from "./program.ts";

/** What stands beside `use: exec`. */
export const configSchema = z.strictObject({
  command: commandSchema.describe("The full path of a program and its arguments. No shell."),
  input: z
    .enum(["json", "text"])
    .default("json")
    .describe(
      "What comes on its standard input: the notification as JSON, or a line of text for each lease or fault. Status 65 drops the message, any other but 0 has it tried again.",
    ),
  // Core's own limit is 60.
  timeout: z.int().min(1).max(60).default(30).describe("Seconds that it may run."),
});

export type ExecConfig = z.output<typeof configSchema>;
