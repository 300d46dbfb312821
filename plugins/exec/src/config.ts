import { z } from "zod";

const argument = z
  .string()
  .max(4096)
  .regex(/^[^\0]*$/, "expected text without NUL");

/** What stands beside `use: exec`. */
export const configSchema = z.strictObject({
  /** The program, by its full path, and its arguments. No shell looks at them. */
  command: z
    .array(argument)
    .min(1)
    .max(64)
    .refine(
      ([program]) => program?.startsWith("/") === true,
      "the program needs its full path, such as /usr/bin/logger",
    ),
  /** What comes on its standard input: the notification as JSON, or a line of text for each lease or fault. */
  input: z.enum(["json", "text"]).default("json"),
  /** Seconds that it may run; core's own limit is 60. */
  timeout: z.int().min(1).max(60).default(30),
});

export type ExecConfig = z.output<typeof configSchema>;
