import { type ChildProcess, execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { CommandResult, NetworkNamespace } from "@wkfs/core/testing";
import { SERVER } from "./site.ts";

const CLI = fileURLToPath(new URL("../../cli/bin/run.js", import.meta.url));

/** Why there can be no ssh here; undefined when there can. None of these programs has a flag that all versions take and that does nothing. */
export function whyNoSsh(): string | undefined {
  const missing = ["/usr/sbin/sshd", "ssh", "ssh-keygen"].find((program) => {
    try {
      execFileSync("sh", ["-c", 'command -v "$0"', program], { stdio: "ignore" });
      return false;
    } catch {
      return true;
    }
  });
  if (missing === undefined) return undefined;
  if (process.env["WKFS_REQUIRE_KERNEL"] === "1") throw new Error(`WKFS_REQUIRE_KERNEL=1, but ${missing} is missing`);
  return `${missing} is not installed`;
}

/**
 * A real sshd on one host, and on another a user whom it lets in as `office`: with `wkfs` in the PATH, a folder for its configuration, and
 * the lines of ssh's configuration that the documentation shows.
 */
export class Ssh {
  /** Where the user's `wkfs client` looks. */
  readonly clientFolder: string;
  readonly #client: NetworkNamespace;
  readonly #config: string;
  readonly #env: NodeJS.ProcessEnv;

  private constructor(folder: string, client: NetworkNamespace) {
    const at = (...parts: string[]) => join(folder, ...parts);
    this.clientFolder = at("xdg/wkfs");
    this.#client = client;
    this.#config = at("ssh_config");
    this.#env = { ...process.env, PATH: `${at("bin")}:${process.env["PATH"]}`, XDG_CONFIG_HOME: at("xdg") };
  }

  /** Everything of it is in this folder. Resolves when sshd listens on port 22. */
  static async start(folder: string, server: NetworkNamespace, client: NetworkNamespace): Promise<Ssh> {
    await makeHome(folder);
    await startSshd(folder, server);
    return new Ssh(folder, client);
  }

  /** Runs a command on the server. Flags are those of ssh(1). */
  ssh(
    command: string,
    { input = "" as string | Buffer, flags = [] as readonly string[] } = {},
  ): Promise<CommandResult> {
    return this.run(this.#argv(command, flags), input);
  }

  /** A session that repeats each line it is sent; the answer is what it says next, and empty when it is broken off. */
  async keep(flags: readonly string[]): Promise<(line: string) => Promise<string>> {
    const session = this.start(...this.#argv("cat", flags));
    const lines = createInterface({ input: session.stdout! })[Symbol.asyncIterator]();
    const say = async (line: string) => {
      session.stdin!.write(`${line}\n`);
      return ((await lines.next()).value as string | undefined) ?? "";
    };
    await say("in");
    return say;
  }

  /** Runs a program as that user. Its output is given byte by byte, in latin1. */
  async run(argv: readonly string[], input: string | Buffer = ""): Promise<CommandResult> {
    const child = this.start(...argv);
    const text = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const)
      child[name]!.setEncoding("latin1").on("data", (piece: string) => (text[name] += piece));
    child.stdin!.on("error", () => {});
    child.stdin!.end(input);
    const [code] = (await once(child, "close")) as [number];
    return { code, ...text };
  }

  #argv(command: string, flags: readonly string[]): string[] {
    return ["ssh", "-F", this.#config, ...flags, "office", command];
  }

  start(...argv: string[]): ChildProcess {
    return this.#client.spawn(argv, { stdio: ["pipe", "pipe", "pipe"], env: this.#env });
  }
}

async function makeHome(folder: string): Promise<void> {
  const at = (...parts: string[]) => join(folder, ...parts);
  for (const name of ["bin", "xdg"]) await mkdir(at(name));
  await writeFile(at("bin/wkfs"), `#!/bin/sh\nexec "${process.execPath}" "${CLI}" "$@"\n`, { mode: 0o755 });
  for (const name of ["host", "user"])
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", at(name)], { stdio: "ignore" });
  const hostKey = (await readFile(at("host.pub"), "utf8")).split(" ").slice(0, 2).join(" ");
  await writeFile(at("known_hosts"), `office ${hostKey}\n`);
  await writeFile(
    at("ssh_config"),
    [
      "Host office",
      `  HostName ${SERVER.ipv4}`,
      "  HostKeyAlias office",
      `  IdentityFile ${at("user")}`,
      `  UserKnownHostsFile ${at("known_hosts")}`,
      "  User root",
      "  BatchMode yes",
      "  ProxyCommand wkfs client proxy %h %p",
      "",
    ].join("\n"),
  );
  await writeFile(
    at("sshd_config"),
    [
      `HostKey ${at("host")}`,
      `AuthorizedKeysFile ${at("user.pub")}`,
      "StrictModes no",
      "UsePAM no",
      "PidFile none",
      "PermitRootLogin prohibit-password",
      "PasswordAuthentication no",
      "",
    ].join("\n"),
  );
}

/** sshd wants /run/sshd: it gets a /run of its own. */
async function startSshd(folder: string, server: NetworkNamespace): Promise<void> {
  const line = 'mount -t tmpfs none /run && mkdir /run/sshd && exec /usr/sbin/sshd -D -e -f "$0"';
  const sshd = server.spawn(["unshare", "--mount", "sh", "-c", line, join(folder, "sshd_config")], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const lines = createInterface({ input: sshd.stderr! });
  for await (const said of lines) if (said.startsWith("Server listening on 0.0.0.0")) break;
  sshd.stderr!.resume();
}
