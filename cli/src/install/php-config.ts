import { WkfsError } from "@wkfs/core";
import { z } from "zod";

/** A `config.dat` of the PHP client. What else stands there (`servicename`, newer fields) is of no use here. */
const schema = z.object({
  url: z.string(),
  encryption_key: z.object({ key1: z.string(), iv1: z.string(), key2: z.string(), iv2: z.string(), sign: z.string() }),
});

/** The URL, and the text of a key file, from the text of a `config.dat`. Throws `CONFIG_INVALID`, without quoting the file. */
export function readPhpConfig(text: string, path: string): { readonly url: string; readonly keys: string } {
  const hint =
    'It should hold { "encryption_key": { key1, iv1, key2, iv2, sign }, "url": … }, as the PHP client wrote it.';
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new WkfsError("CONFIG_INVALID", `${path} is not JSON`, { hint });
  }
  const checked = schema.safeParse(value);
  if (!checked.success) {
    const issue = checked.error.issues[0]!;
    const place = issue.path.join(".") || "the file";
    throw new WkfsError("CONFIG_INVALID", `${path}: "${place}": ${issue.message}`, { hint });
  }
  const { url, encryption_key: keys } = checked.data;
  return { url, keys: `${JSON.stringify(keys, null, 2)}\n` };
}
