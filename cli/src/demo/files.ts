import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { writeClientConfig } from "../install/client-config.ts";
import { firewallEntry } from "../install/proposal.ts";
import { installServer } from "../install/server-config.ts";
import { PORT, hostPort } from "./family.ts";

export interface DemoServer {
  readonly listen: string;
  readonly transportPort: number;
  readonly firewalls: readonly string[];
  /** Where clients find the gateway: a host and a port each. */
  readonly reachedAt: readonly { readonly host: string; readonly port: number }[];
}

export interface DemoFiles {
  readonly server: string;
  /** The client's configuration for each of `reachedAt`. */
  readonly clients: readonly string[];
}

/** Writes what `wkfs install` writes, with fresh keys, below a folder that nobody else can enter. */
export async function writeFiles(folder: string, server: DemoServer): Promise<DemoFiles> {
  const { listen, transportPort, firewalls, reachedAt } = server;
  const path = `/${randomBytes(4).toString("hex")}`;
  const urls = reachedAt.map(({ host, port }) => `http://${hostPort(host, port)}${path}`);
  const place = join(folder, "server");
  const secret = join(place, "transport.secret");
  const installed = await installServer({
    folder: place,
    stateDir: join(folder, "state"),
    answers: {
      tcp: [PORT],
      udp: [],
      maxTime: 60,
      listen,
      path,
      url: urls[0],
      trustedProxies: [],
      transport: { use: "localhost-tcp", host: "127.0.0.1", port: transportPort, secret },
      firewalls: firewalls.map((use) => firewallEntry(use, {})),
      notify: [],
      control: undefined,
    },
    former: undefined,
    gid: undefined,
    force: false,
    newKeys: false,
  });
  const keys = await readFile(installed.keys, "utf8");
  const clients: string[] = [];
  for (const [index, url] of urls.entries()) {
    const origin = { origin: installed.keys, replace: false };
    clients.push((await writeClientConfig(join(folder, `client-${index}`), { url }, keys, origin)).config);
  }
  return { server: installed.config, clients };
}
