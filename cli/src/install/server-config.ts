import { randomBytes } from "node:crypto";
import { access } from "node:fs/promises";
import { join } from "node:path";
import { WkfsError, isWkfsError } from "@wkfs/core";
import { type ConfigSource, checkServerConfig, loadServerConfig, readKeys, readSecret } from "@wkfs/core/config";
import { CLIENT_FILE, KEYS_FILE, SERVER_FILE } from "../config-path.ts";
import type { ServerAnswers } from "./answers.ts";
import { writeClientConfig } from "./client-config.ts";
import type { Former } from "./former.ts";
import { plannedText } from "./planned-text.ts";
import { serverValue } from "./server-yaml.ts";
import { type NewFile, letGroupRead, makeFolder, refuseExisting, writeFiles } from "./write-files.ts";

export interface ServerInstallation {
  /** Folder of the configuration, absolute. */
  readonly folder: string;
  readonly stateDir: string;
  readonly answers: ServerAnswers;
  /** What was there before, and what of it stays. */
  readonly former: Former | undefined;
  /** Group that may read configuration, keys and secret: that of an unprivileged gateway. */
  readonly gid: number | undefined;
  /** Whether a configuration that is there may be written anew. */
  readonly force: boolean;
  /** Whether keys and secret are made anew. Every client then needs the new ones. */
  readonly newKeys: boolean;
}

/** What was written, by path, and what a client needs. No secrets. */
export interface ServerInstalled {
  readonly config: string;
  readonly keys: string;
  /** Undefined where gateway and daemon need none. */
  readonly secret: string | undefined;
  readonly stateDir: string;
  readonly url: string;
  /** A folder that can be copied to a client as it is. */
  readonly client: { readonly config: string; readonly keys: string };
  /** Which of the secret files were there already and were kept. */
  readonly kept: readonly string[];
}

/** Where the files of an installation are. */
export interface ServerLayout {
  readonly config: string;
  readonly keys: string;
  readonly keysAre: "new" | "old";
  /** Whether clients have sets of keys with names, which are the administrator's to make. */
  readonly namedKeys: boolean;
  readonly secret: string | undefined;
  readonly secretIs: "new" | "old";
  readonly database: string;
  readonly clientFolder: string;
}

/** Bytes of the five keys, in the order of the PHP program's file. */
const KEY_SIZES = { key1: 32, iv1: 16, key2: 32, iv2: 16, sign: 20 } as const;

/** A path of the URL that nobody can guess. */
export function freshPath(): string {
  return `/${randomBytes(16).toString("hex")}`;
}

/** Where everything goes, and what of it is there. Reads nothing. */
export async function layoutOf({
  folder,
  stateDir,
  answers,
  former,
  newKeys,
}: Omit<ServerInstallation, "gid" | "force">): Promise<ServerLayout> {
  const keys = former?.config.keySets[0]?.keys ?? join(folder, KEYS_FILE);
  const { secret } = answers.transport;
  const isFile = (path: string) =>
    access(path).then(
      () => true,
      () => false,
    );
  const file = answers.transport.use === "localhost-tcp" && typeof secret === "string" ? secret : undefined;
  return {
    config: join(folder, SERVER_FILE),
    keys,
    keysAre: !newKeys && (await isFile(keys)) ? "old" : "new",
    namedKeys: former?.config.namedKeys ?? false,
    secret: file,
    secretIs: !newKeys && file !== undefined && (await isFile(file)) ? "old" : "new",
    database: join(stateDir, "wkfs.db"),
    clientFolder: join(folder, "client"),
  };
}

/** Throws `CONFIG_INVALID` for answers that no configuration can have; names the flag. */
export async function checkAnswers(answers: ServerAnswers, layout: ServerLayout, folder: string): Promise<string> {
  try {
    const url = urlOf(answers);
    if (!/^https?:$/.test(URL.parse(url)?.protocol ?? "")) {
      throw new WkfsError(
        "CONFIG_INVALID",
        `--url: ${JSON.stringify(url)} is no URL that begins with http:// or https://`,
      );
    }
    await checkServerConfig(serverValue(answers, layout), flagsSource, folder);
    return url;
  } catch (error) {
    if (!isWkfsError(error)) throw error;
    const hint = error.hint?.startsWith("Give ")
      ? error.hint
      : "Nothing was written. `wkfs install server --help` shows what this flag takes.";
    throw new WkfsError(error.code, error.message, { hint, cause: error });
  }
}

/**
 * Writes a server's configuration, keys and transport secret, and a folder for clients. Nothing is written when
 * the answers are wrong. Existing keys stay unless new ones are asked for. Throws `CONFIG_INVALID`, `SECRET_INVALID`.
 */
export async function installServer(installation: ServerInstallation): Promise<ServerInstalled> {
  const { folder, stateDir, answers, former, gid, force, newKeys } = installation;
  const layout = await layoutOf(installation);
  const { config: file, keys, secret } = layout;
  const url = await checkAnswers(answers, layout, folder);
  if (!force) await refuseExisting(file);

  const kept: string[] = [];
  const secretMode = gid === undefined ? 0o600 : 0o640;
  const secretFile = async (path: string, fresh: () => string, read: () => Promise<unknown>): Promise<NewFile[]> => {
    if (!newKeys && (await isThere(read))) {
      kept.push(path);
      return [];
    }
    return [{ path, text: fresh(), mode: secretMode, gid, replace: newKeys }];
  };
  // Open to all, as other folders in /etc: the gateway's user must get to the files that its group may read.
  await makeFolder(folder, 0o755);
  await makeFolder(stateDir, 0o700);
  const secrets = [
    ...(await secretFile(keys, freshKeys, () => readKeys(keys))),
    ...(secret === undefined
      ? []
      : await secretFile(
          secret,
          () => `${randomBytes(40).toString("hex")}\n`,
          () => readSecret(secret),
        )),
  ];
  const config = { path: file, text: plannedText(answers, layout, former), mode: 0o640, gid, replace: force };
  await writeFiles([...secrets, config], async (staged) => void (await loadServerConfig(staged.at(-1)!)));
  if (gid !== undefined) for (const path of kept) await letGroupRead(path, gid);
  const { clientFolder } = layout;
  const client = layout.namedKeys
    ? { config: join(clientFolder, CLIENT_FILE), keys }
    : await writeClientConfig(clientFolder, { url }, `${await readSecret(keys)}\n`, { origin: keys, replace: true });
  return { config: file, keys, secret, stateDir, url, client, kept };
}

function freshKeys(): string {
  const keys = Object.entries(KEY_SIZES).map(([name, size]) => [name, randomBytes(size).toString("hex")]);
  return `${JSON.stringify(Object.fromEntries(keys), null, 2)}\n`;
}

/** Only a file that is missing is made: one that cannot be read or has the wrong mode is an error. */
async function isThere(read: () => Promise<unknown>): Promise<boolean> {
  try {
    await read();
    return true;
  } catch (error) {
    const cause = error instanceof WkfsError ? error.cause : undefined;
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return false;
    throw error;
  }
}

/** The URL that clients use. One without a path names the host alone; the gateway is at its path there. */
function urlOf({ url, listen, path }: ServerAnswers): string {
  if (url !== undefined) {
    const parsed = URL.parse(url);
    return parsed?.pathname === "/" ? new URL(path, parsed).href : url;
  }
  if (!listen.startsWith("unix:")) return `http://${listen}${path}`;
  throw new WkfsError("CONFIG_INVALID", "which URL do clients use? A gateway on a Unix socket has none of its own", {
    hint: `Give the one of the web server before it, such as --url https://www.example.org${path}`,
  });
}

const FLAGS: Readonly<Record<string, string>> = {
  "protect.tcp": "--tcp",
  "protect.udp": "--udp",
  "protect.maxTime": "--max-time",
  protect: "--tcp and --udp",
  "gateway.listen": "--listen",
  "gateway.path": "--path",
  "gateway.trustedProxies": "--trusted-proxy",
  "control.path": "--control",
};

/** Errors in what came from flags name the flag. */
const flagsSource: ConfigSource = {
  locate(path) {
    for (let length = path.length; length > 0; length -= 1) {
      const flag = FLAGS[path.slice(0, length).join(".")];
      if (flag !== undefined) return flag;
    }
    return "flags";
  },
};
