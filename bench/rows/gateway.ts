import { fileURLToPath } from "node:url";
import type { Family } from "../bench.ts";
import type { HttpLoadReply, HttpLoadRequest, Kind } from "../load/http-load.ts";
import { type Side, median } from "../measure.ts";
import { processorTime } from "../process-figures.ts";
import type { Program } from "../program.ts";
import type { BareHttpRequest } from "../reference/bare-http.ts";
import { type Target, timesAtLeast } from "../row.ts";
import { HTTP_PORT, PATH, Site, UDP_PORT } from "../site.ts";
import { SERVER } from "../stage.ts";

const LOAD = fileURLToPath(new URL("../load/http-load.ts", import.meta.url));
const BARE = fileURLToPath(new URL("../reference/bare-http.ts", import.meta.url));
const CONNECTIONS = 8;
/** So many wait for the disk and for each other, and the processes always have something to do. */
const MANY_CONNECTIONS = 64;
const PLAIN_PORT = 8081;
const CRYPTO_PORT = 8082;
const REFUSING_PORT = 8083;
/** Bytes of a sealed answer. */
const PACKET = 512;

const KINDS: readonly { kind: Kind; what: string; status: number; target: Target }[] = [
  { kind: "getinfo", what: "getinfo", status: 200, target: timesAtLeast(0.25) },
  { kind: "renewal", what: "renewal through the daemon", status: 200, target: timesAtLeast(0.18) },
  { kind: "garbage", what: "garbage refused", status: 403, target: timesAtLeast(0.4) },
];

/** A server under load: its processes, and the shares of a core that they and the load used, round by round. */
interface Server {
  /** What it answered a second in the last round: how many requests to make ready for the next one. */
  last: number;
  readonly ports: readonly number[];
  readonly programs: readonly Program[];
  readonly busy: number[];
  readonly loadBusy: number[];
}

/** Requests a second that a gateway answers, each on a kept connection, beside bare node:http. */
export const gateway: Family = {
  name: "gateway",
  async measure(bench) {
    const { stage } = bench;
    const hosts = await stage.hosts();
    const site = await Site.create(stage, hosts, "gateway", "iptables");
    const load = await stage.start([process.execPath, LOAD], { host: hosts.client });
    const bare = async (mode: BareHttpRequest["mode"], port: number, status: number, size: number) => {
      const program = await stage.start([process.execPath, BARE], { host: hosts.server });
      await program.ask({ mode, port, keys: site.keys, status, size } satisfies BareHttpRequest);
      return server([port], [program]);
    };
    const plain = await bare("plain", PLAIN_PORT, 200, PACKET);
    const crypto = await bare("crypto", CRYPTO_PORT, 200, PACKET);
    const refusing = await bare("plain", REFUSING_PORT, 403, 0);
    await site.daemon();
    const one = server([HTTP_PORT], [await site.gateway()]);
    const pair = await Site.create(stage, await stage.hosts(), "gateway-two", "iptables", { workers: 2 });
    await pair.daemon();
    const two = server([HTTP_PORT], [await pair.gateway()]);
    const pairLoad = await stage.start([process.execPath, LOAD], { host: pair.client });
    for (const { kind, what, status, target } of KINDS) {
      const id = `gateway/${kind}`;
      if (!bench.wants(id)) continue;
      const time = bench.scale.quick ? 300 : 1500;
      const side = (it: Server) => () => rate(load, site, it, { kind, status, time });
      const reference = kind === "garbage" ? refusing : plain;
      const both: Side = () => rate(pairLoad, pair, two, { kind, status, time });
      const sides: Record<string, Side> = { wkfs: side(one), plain: side(reference), both };
      if (kind !== "garbage") sides["crypto"] = side(crypto);
      const crowded = server(one.ports, one.programs);
      if (kind === "renewal")
        sides["many"] = () => rate(load, site, crowded, { kind, status, time, connections: MANY_CONNECTIONS });
      const { wkfs, plain: without, crypto: withCrypto, both: withTwo, many } = await bench.rounds(sides);
      const row = { unit: "1/s", value: wkfs } as const;
      bench.report({
        ...row,
        id,
        what: `gateway, one worker: ${what}`,
        reference: {
          what: `bare node:http ${kind === "garbage" ? "answering 403" : "without cryptography"}`,
          value: without!,
        },
        targets: [target],
        note: `${busy("gateway", one)}, ${busy("bare", reference)}`,
      });
      bench.report({
        ...row,
        id: `${id}/two`,
        what: `gateway, two workers: ${what}`,
        value: withTwo,
        reference: { what: "the same with one worker", value: wkfs! },
        note: busy("gateway", two),
      });
      if (many !== undefined) {
        bench.report({
          ...row,
          id: `${id}/many`,
          what: `gateway, one worker: ${what}, ${MANY_CONNECTIONS} connections`,
          value: many,
          reference: { what: `the same on ${CONNECTIONS}`, value: wkfs! },
          note: busy("gateway", crowded),
        });
      }
      if (withCrypto !== undefined) {
        bench.report({
          ...row,
          id: `${id}/crypto`,
          what: `gateway, one worker: ${what}`,
          reference: { what: "bare node:http with the same cryptography", value: withCrypto },
        });
      }
    }
  },
};

function server(ports: readonly number[], programs: readonly Program[]): Server {
  return { last: 2000, ports, programs, busy: [], loadBusy: [] };
}

/** Which process was the bottleneck: shares of a core at the median. */
function busy(name: string, { busy: own, loadBusy }: Server): string {
  return `${name} at ${Math.round(median(own))} % of a core (load ${Math.round(median(loadBusy))} %)`;
}

async function rate(
  load: Program,
  site: Site,
  it: Server,
  { kind, status, time, connections = CONNECTIONS }: { kind: Kind; status: number; time: number; connections?: number },
): Promise<number> {
  await load.ask({
    kind,
    host: SERVER,
    ports: it.ports,
    path: PATH,
    keys: site.keys,
    udpPort: UDP_PORT,
    connections,
    requests: Math.ceil((it.last * 1.3 * time) / 1000),
    status,
  } satisfies HttpLoadRequest);
  const used = () => it.programs.reduce((sum, { pid }) => sum + processorTime(pid), 0);
  const before = used();
  const { took, answered, cpu } = await load.ask<HttpLoadReply>({ go: time } satisfies HttpLoadRequest);
  it.busy.push(((used() - before) / took) * 100_000);
  it.loadBusy.push((cpu / took) * 100_000);
  it.last = (answered / took) * 1000;
  return it.last;
}
