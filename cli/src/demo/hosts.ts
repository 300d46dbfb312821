import { NetworkNamespace } from "@wkfs/core/testing";
import { FAMILIES, type Family, PORT, hostPort } from "./family.ts";
import { type DemoFiles, writeFiles } from "./files.ts";
import type { Means } from "./means.ts";
import type { Ending, Program } from "./program.ts";
import type { Stage } from "./stage.ts";
import type { VisitorReply, VisitorRequest } from "./visitor.ts";

type KernelMeans = Extract<Means, { kind: "kernel" }>;

/** Where the gateway and the daemon listen: nobody else is on this host. */
const WEB_PORT = 8080;
const TRANSPORT_PORT = 33_491;

/** A server and a client host, joined by a cable, with everything running on them that runs in earnest. */
export class Hosts {
  readonly daemon: Program;
  readonly #stage: Stage;
  readonly #server: NetworkNamespace;
  readonly #client: NetworkNamespace;
  readonly #files: DemoFiles;
  readonly #visitor: Program;

  private constructor(parts: {
    stage: Stage;
    server: NetworkNamespace;
    client: NetworkNamespace;
    files: DemoFiles;
    daemon: Program;
    visitor: Program;
  }) {
    this.#stage = parts.stage;
    this.#server = parts.server;
    this.#client = parts.client;
    this.#files = parts.files;
    this.daemon = parts.daemon;
    this.#visitor = parts.visitor;
  }

  static async start(stage: Stage, { user, families }: KernelMeans): Promise<Hosts> {
    const server = await stage.own(await NetworkNamespace.create(user === undefined ? {} : { user }));
    const client = await stage.own(await NetworkNamespace.create(user === undefined ? {} : { user: server }));
    await connectHosts(server, client, families);
    const ipv6 = families.some(({ name }) => name === "IPv6");
    const everywhere = ipv6 ? "::" : "0.0.0.0";
    const files = await writeFiles(stage.dir, {
      listen: hostPort(everywhere, WEB_PORT),
      transportPort: TRANSPORT_PORT,
      firewalls: families.map(({ tables }) => tables),
      reachedAt: families.map((family) => ({ host: family.server, port: WEB_PORT })),
    });
    const service = stage.module("service", [everywhere, String(PORT)], server.prefix);
    const visitor = stage.module("visitor", [], client.prefix);
    const daemon = stage.wkfs(["daemon", "--config", files.server], server.prefix);
    const gateway = stage.wkfs(["serve", "--config", files.server], server.prefix);
    await Promise.all([
      service.ask(),
      visitor.ask(),
      daemon.says("stderr", /"msg":"ready"/),
      gateway.says("stderr", /"msg":"ready"/),
    ]);
    return new Hosts({ stage, server, client, files, daemon, visitor });
  }

  /** Asks the kernel of the server; a command that fails is an error. */
  async kernel(...argv: string[]): Promise<string[]> {
    this.#stage.signal.throwIfAborted();
    return (await this.#server.run(...argv)).trimEnd().split("\n");
  }

  /** `wkfs client open` on the client host, over this family. */
  async knock(family: Family, ...flags: string[]): Promise<Ending> {
    const config = this.#files.clients[FAMILIES.indexOf(family)]!;
    return await this.#stage.wkfs(["client", "open", "--config", config, ...flags], this.#client.prefix).ended;
  }

  async visit(request: VisitorRequest): Promise<VisitorReply> {
    return await this.#visitor.ask<VisitorReply>(request);
  }
}

async function connectHosts(
  server: NetworkNamespace,
  client: NetworkNamespace,
  families: readonly Family[],
): Promise<void> {
  await server.connect(
    client,
    families.map((family) => `${family.server}/${family.length}`),
    families.flatMap(({ client: first, other, length }) => [`${first}/${length}`, `${other}/${length}`]),
  );
  // Of its two addresses the client takes this one, unless it is told to take the other.
  for (const family of families)
    await client.run("ip", "route", "add", family.server, "dev", "wire0", "src", family.client);
}
