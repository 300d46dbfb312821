import { constants } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { WkfsError, isWkfsError, messageOf } from "../model/errors.ts";
import { keysSchema } from "./schema.ts";

/** Largest secret file in bytes. */
const LIMIT = 65_536;

/**
 * Reads a secret: the file's text less one trailing newline. The mode is looked at on the open file, so it is
 * that of what is read. 0600 and 0640 pass; a file that others can read or the group can write is
 * refused. One that we may not read, or that is not there, is taken from what the service
 * manager handed over for it: see `credentialName`. Throws `SECRET_INVALID`.
 */
export async function readSecret(path: string): Promise<string> {
  let file;
  try {
    file = await openFile(path).catch((error: unknown) => openCredential(path, error));
  } catch (error) {
    if (isWkfsError(error)) throw error;
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

/**
 * The name under which a service manager hands over the secret of this path (`LoadCredential=` of systemd): the path itself, with
 * dashes for slashes. So a configuration names files, whoever reads them.
 */
export function credentialName(path: string): string {
  return resolve(path).slice(1).replaceAll("/", "-");
}

function openFile(path: string): Promise<FileHandle> {
  return open(path, constants.O_RDONLY | constants.O_NONBLOCK);
}

/** When the files were last changed whose secrets were handed over to us, as of the first time that we took them. */
const handedOver = new Map<string, number | undefined>();

/** Throws the error of the file itself where nothing was handed over for it. */
async function openCredential(path: string, error: unknown): Promise<FileHandle> {
  const folder = process.env["CREDENTIALS_DIRECTORY"];
  if (folder === undefined || !isCode(error, "EACCES", "ENOENT")) throw error;
  const file = await openFile(join(folder, credentialName(path))).catch(() => {
    throw error;
  });
  // What a service manager hands over is as it was when it started us.
  const changed = await stat(path).then(
    ({ ctimeMs }) => ctimeMs,
    () => undefined,
  );
  if (!handedOver.has(path)) handedOver.set(path, changed);
  if (handedOver.get(path) === changed) return file;
  await file.close();
  throw refusal(
    path,
    "was changed after the service manager had handed it over",
    "Restart the unit with `systemctl restart`. For a reload to see it, let the unit's group read the file (mode 0640).",
  );
}

function isCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && "code" in error && codes.includes(String(error.code));
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
