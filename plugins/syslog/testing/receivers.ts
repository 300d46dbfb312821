import { type ChildProcess, spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { watch } from "node:fs";
import { access, chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, type Server, type Socket, createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Server as TlsServer, createServer as createSecureServer } from "node:tls";

/** For setpriv(1): what it starts ends with this process, however that ends. */
const WITH_US = ["--pdeathsig", "KILL", "--"];

/** A file that somebody writes beside others; resolves when it looks as it should. */
export async function fileThat<Value>(folder: string, looks: () => Promise<Value | undefined>): Promise<Value> {
  const watcher = watch(folder);
  try {
    for (;;) {
      const changed = once(watcher, "change");
      const value = await looks();
      if (value !== undefined) return value;
      await changed;
    }
  } finally {
    watcher.close();
  }
}

/** A message as rsyslog understood it. */
export interface Logged {
  readonly pri: string;
  readonly tag: string;
  readonly msg: string;
  readonly sd: string;
  readonly msgid: string;
  readonly ts: string;
  readonly host: string;
}

/** rsyslogd(8) that listens on a Unix socket, and on a UDP and a TCP port of its own, and writes what it understands to a file. */
export class Rsyslog implements AsyncDisposable {
  readonly folder: string;
  readonly port: number;
  readonly #daemon: ChildProcess;

  private constructor(folder: string, port: number, daemon: ChildProcess) {
    this.folder = folder;
    this.port = port;
    this.#daemon = daemon;
  }

  static async start(): Promise<Rsyslog> {
    const folder = await mkdtemp(join(tmpdir(), "wkfs-log-"));
    const port = await freePort();
    const properties = ["pri", "syslogtag", "msg", "structured-data", "msgid", "timereported", "hostname"];
    const names = ["pri", "tag", "msg", "sd", "msgid", "ts", "host"];
    const fields = properties.map((property, at) => {
      const date = property === "timereported" ? ' dateFormat="rfc3339"' : "";
      return `property(outname="${names[at]}" name="${property}"${date} format="jsonf")`;
    });
    const lines = [
      'global(parser.permitSlashInProgramName="on")',
      'module(load="imuxsock" SysSock.Use="off")',
      'module(load="imudp")',
      'module(load="imtcp")',
      `input(type="imuxsock" Socket="${folder}/log")`,
      `input(type="imudp" address="127.0.0.1" port="${port}")`,
      `input(type="imtcp" address="127.0.0.1" port="${port}")`,
      `template(name="json" type="list" option.jsonf="on") { ${fields.join(" ")} }`,
      `action(type="omfile" file="${folder}/out" template="json")`,
    ];
    await writeFile(join(folder, "conf"), `${lines.join("\n")}\n`);
    const argv = ["-n", "-f", join(folder, "conf"), "-i", join(folder, "pid")];
    const daemon = spawn("setpriv", [...WITH_US, "rsyslogd", ...argv], { stdio: "ignore" });
    const ended = once(daemon, "exit").then(() => Promise.reject(new Error("rsyslogd ended")));
    ended.catch(() => {});
    const here = (name: string) =>
      access(join(folder, name)).then(
        () => true,
        () => undefined,
      );
    // It writes its number when it has opened everything.
    await Promise.race([fileThat(folder, async () => (await here("pid")) && (await here("log"))), ended]);
    return new Rsyslog(folder, port, daemon);
  }

  /** Everything that was logged, as soon as there are so many messages. */
  async logged(count: number): Promise<readonly Logged[]> {
    return await fileThat(this.folder, async () => {
      const text = await readFile(join(this.folder, "out"), "utf8").catch(() => "");
      const lines = text.split("\n").slice(0, -1);
      return lines.length >= count ? lines.map((line) => JSON.parse(line) as Logged) : undefined;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#daemon, "exit");
    this.#daemon.kill("SIGKILL");
    await ended;
    await rm(this.folder, { recursive: true });
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** systemd-journald in a mount namespace of its own, where /run is empty but for it. */
export class Journald implements AsyncDisposable {
  readonly #daemon: ChildProcess;
  readonly #folder: string;

  private constructor(daemon: ChildProcess, folder: string) {
    this.#daemon = daemon;
    this.#folder = folder;
  }

  static async start(): Promise<Journald> {
    const folder = await mkdtemp(join(tmpdir(), "wkfs-journal-"));
    const begin =
      "mount -t tmpfs tmpfs /run && mkdir -p /run/log/journal /run/systemd/journal && echo up && exec /lib/systemd/systemd-journald";
    const argv = ["--mount", "--propagation", "private", "sh", "-c", begin];
    const daemon = spawn("setpriv", [...WITH_US, "unshare", ...argv], { stdio: ["ignore", "pipe", "ignore"] });
    const journald = new Journald(daemon, folder);
    await once(daemon.stdout!, "data");
    await writeFile(
      join(folder, "logger"),
      `#!/bin/sh\nexec nsenter --mount=/proc/${daemon.pid}/ns/mnt -- logger "$@"\n`,
    );
    await chmod(join(folder, "logger"), 0o755);
    const sockets = dirname(journald.socket);
    // Where it is asked whether all is written; it is the last that it makes.
    const last = join(sockets, "io.systemd.journal");
    await fileThat(sockets, () =>
      access(last).then(
        () => true,
        () => undefined,
      ),
    );
    return journald;
  }

  get socket(): string {
    return `/proc/${this.#daemon.pid}/root/run/systemd/journal/socket`;
  }

  /** A logger(1) that writes to it. */
  get logger(): string {
    return join(this.#folder, "logger");
  }

  /** What journalctl(1) finds by these matches. */
  async find(...matches: readonly string[]): Promise<readonly Readonly<Record<string, unknown>>[]> {
    await this.#journalctl("--sync");
    const text = await this.#journalctl("-q", "-D", "/run/log/journal", "-o", "json", "--all", ...matches);
    const lines = text.split("\n").filter((line) => line !== "");
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  async #journalctl(...args: readonly string[]): Promise<string> {
    const argv = [`--mount=/proc/${this.#daemon.pid}/ns/mnt`, "--", "journalctl", ...args];
    const child = spawn("nsenter", argv, { stdio: ["ignore", "pipe", "inherit"] });
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (piece: string) => (text += piece));
    await once(child, "close");
    return text;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#daemon, "exit");
    this.#daemon.kill("SIGKILL");
    await ended;
    await rm(this.#folder, { recursive: true });
  }
}

/** A receiver of RFC 6587 or RFC 5425 that keeps what it is sent, a piece for each connection. */
export class StreamReceiver implements AsyncDisposable {
  readonly connections: string[] = [];
  readonly port: number;
  readonly #server: Server;
  readonly #sockets: Set<Socket>;
  /** Resolves with the first connection. */
  readonly connected: Promise<unknown>;

  private constructor(server: Server, sockets: Set<Socket>, connections: string[]) {
    this.#server = server;
    this.#sockets = sockets;
    this.connections = connections;
    this.port = (server.address() as AddressInfo).port;
    this.connected = once(server, server instanceof TlsServer ? "secureConnection" : "connection");
    this.connected.catch(() => {});
  }

  /** `heard` is told of a connection, which then is never read; without, all is read and closed in return. */
  static async start(
    tls?: { readonly key: string; readonly cert: string },
    heard?: () => void,
  ): Promise<StreamReceiver> {
    const sockets = new Set<Socket>();
    const connections: string[] = [];
    const take = (socket: Socket) => {
      socket.on("error", () => {});
      if (heard !== undefined) return void heard();
      let text = "";
      socket.setEncoding("utf8").on("data", (piece: string) => (text += piece));
      socket.on("end", () => {
        connections.push(text);
        socket.end();
      });
    };
    const options = { allowHalfOpen: true };
    const server = tls === undefined ? createServer(options, take) : createSecureServer({ ...options, ...tls }, take);
    // Also those that do not become TLS.
    server.on("connection", (socket) => sockets.add(socket.on("error", () => {})));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new StreamReceiver(server, sockets, connections);
  }

  /** Ends all connections, read or not. */
  breakOff(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.breakOff();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** A UDP port that keeps its datagrams. */
export class DatagramReceiver implements AsyncDisposable {
  readonly #socket = createSocket("udp4");
  readonly #datagrams: string[] = [];
  #changed = () => {};

  static async start(): Promise<DatagramReceiver> {
    const receiver = new DatagramReceiver();
    receiver.#socket.on("message", (message) => {
      receiver.#datagrams.push(message.toString());
      receiver.#changed();
    });
    receiver.#socket.bind(0, "127.0.0.1");
    await once(receiver.#socket, "listening");
    return receiver;
  }

  get port(): number {
    return this.#socket.address().port;
  }

  async received(count: number): Promise<readonly string[]> {
    while (this.#datagrams.length < count) await new Promise<void>((resolve) => (this.#changed = resolve));
    return this.#datagrams;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => this.#socket.close(resolve));
  }
}
