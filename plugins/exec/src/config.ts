import { z } from "zod";
import { commandSchema } from "./program.ts";

/** What stands beside `use: exec`. */
export const configSchema = z.strictObject({
  command: commandSchema,
  /** What comes on its standard input: the notification as JSON, or a line of text for each lease or fault. */
  input: z.enum(["json", "text"]).default("json"),
  /** Seconds that it may run; core's own limit is 60. */
  timeout: z.int().min(1).max(60).default(30),
});

export type ExecConfig = z.output<typeof configSchema>;
