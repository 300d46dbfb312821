import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { WkfsError, messageOf } from "../model/errors.ts";
import { keysSchema } from "./schema.ts";

/** Largest secret file in bytes. */
const LIMIT = 65_536;

/**
 * Reads a secret: the file's text less one trailing newline. The mode is looked at on the open file, so it is
 * that of what is read. 0600 and 0640 pass; a file that others can read or the group can write is
 * refused. Throws `SECRET_INVALID`.
 */
export async function readSecret(path: string): Promise<string> {
  let file;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw new WkfsError("SECRET_INVALID", `cannot read the secret ${path}: ${messageOf(error)}`, {
      hint: "`wkfs install server` makes it; check the path and who may read it.",
      cause: error,
    });
  }
  try {
    const { mode, size } = await file.stat();
    if ((mode & constants.S_IFMT) !== constants.S_IFREG)
      throw refusal(path, "is no regular file", "Name a file that holds the secret.");
    if ((mode & 0o027) !== 0) {
      throw refusal(
        path,
        `has mode ${(mode & 0o777).toString(8).padStart(4, "0")}, so more people can read or write it than should`,
        `Run: chmod 0600 ${path} (or 0640).`,
      );
    }
    if (size > LIMIT) throw refusal(path, `is larger than ${LIMIT} bytes`, "Name the file that holds the secret.");
    return (await file.readFile("utf8")).replace(/\r?\n$/, "");
  } finally {
    await file.close();
  }
}

/** Reads a key file of protocol v1: `{ key1, iv1, key2, iv2, sign }` in hex. Throws `SECRET_INVALID`. */
export async function readKeys(
  path: string,
): Promise<{ readonly [Name in "key1" | "iv1" | "key2" | "iv2" | "sign"]: Uint8Array }> {
  const text = await readSecret(path);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's own words would quote the file.
    throw refusal(
      path,
      "is not JSON",
      'It should hold { "key1": …, "iv1": …, "key2": …, "iv2": …, "sign": … } in hex.',
    );
  }
  const checked = keysSchema.safeParse(value);
  if (!checked.success) {
    const issue = checked.error.issues[0]!;
    const name = issue.code === "unrecognized_keys" ? "" : `"${issue.path.join(".")}": `;
    throw refusal(
      path,
      `${name}${issue.message}`,
      "Make new keys with `wkfs install server`, or copy the five values of the PHP program.",
    );
  }
  const { key1, iv1, key2, iv2, sign } = checked.data;
  const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex, "hex"));
  return { key1: bytes(key1), iv1: bytes(iv1), key2: bytes(key2), iv2: bytes(iv2), sign: bytes(sign) };
}

function refusal(path: string, what: string, hint: string): WkfsError {
  return new WkfsError("SECRET_INVALID", `the secret ${path} ${what}`, { hint });
}
