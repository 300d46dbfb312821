import { fileURLToPath } from "node:url";
import type { Bench, Family } from "../bench.ts";
import type { KnockRequest } from "../load/knocker.ts";
import { type Side, median } from "../measure.ts";
import type { Program } from "../program.ts";
import type { BareHttpRequest } from "../reference/bare-http.ts";
import { FWKNOP_PORT, Fwknop, whyNoFwknop } from "../reference/fwknop.ts";
import { type Row, atMost, timesAtMost } from "../row.ts";
import { CLI, HTTP_PORT, PATH, Site, UDP_PORT } from "../site.ts";
import { type Hosts, SERVER, type Stage, clientAddress } from "../stage.ts";

const module = (name: string) => fileURLToPath(new URL(`../${name}.ts`, import.meta.url));

/** A server that can be knocked on, and who knocks there; a client's address is used once. */
class Door {
  readonly #knocker: Program;
  #next = 1;

  private constructor(knocker: Program) {
    this.#knocker = knocker;
  }

  static async make(stage: Stage, { server, client }: Hosts): Promise<Door> {
    const echo = await stage.start([process.execPath, module("load/echo")], { host: server });
    await echo.ask({ port: UDP_PORT });
    return new Door(await stage.start([process.execPath, module("load/knocker")], { host: client }));
  }

  /** The median of so many knocks in milliseconds. */
  side(knocks: number, by: (address: string) => Promise<KnockRequest["by"]>): Side {
    return async () => {
      const figures: number[] = [];
      for (let knock = 0; knock < knocks; knock += 1) {
        const index = this.#next++;
        const request = { index, server: SERVER, udpPort: UDP_PORT, by: await by(clientAddress(index)) };
        figures.push(await this.#knocker.ask<number>(request satisfies KnockRequest));
      }
      return median(figures);
    };
  }
}

/**
 * From a knock until the first packet is let through: of probes of the port, one each 0.1 ms, when the first that arrived was
 * sent. Without the client's process: sealed before, sent on a connection over which a request has gone before
 * (fwknop: a packet made before, sent by the same program). With it: from its spawning on.
 */
export const knock: Family = {
  name: "knock",
  async measure(bench) {
    const { stage } = bench;
    const hosts = await stage.hosts();
    const door = await Door.make(stage, hosts);
    const site = await Site.create(stage, hosts, "knock", "iptables");
    await site.daemon();
    await site.gateway();
    const other = await stage.hosts();
    const otherDoor = await Door.make(stage, other);
    const nftables = await Site.create(stage, other, "knock-nftables", "nftables");
    await nftables.daemon();
    await nftables.gateway();
    const open = ["client", "open", "--config", site.clientConfig, "--udp", String(UDP_PORT), "--time", "60"];
    const knocks = bench.scale.quick ? 5 : 10;
    const http =
      ({ keys }: Site) =>
      async () => ({ http: HTTP_PORT, path: PATH, keys });
    const sides: Record<string, Side> = {
      warm: door.side(knocks, http(site)),
      nftables: otherDoor.side(knocks, http(nftables)),
      client: door.side(3, async () => ({ argv: [process.execPath, CLI, ...open], home: stage.folder })),
      naive: await naive(stage, site, knocks),
    };
    const lack = whyNoFwknop();
    if (lack === undefined) Object.assign(sides, await fwknop(stage, knocks));
    const result = await bench.rounds(sides);
    report(bench, lack, result);
  },
};

function report(bench: Bench, lack: string | undefined, result: Awaited<ReturnType<Bench["rounds"]>>): void {
  const warm: Row = {
    id: "knock/warm",
    what: "knock to open, warm connection, iptables",
    unit: "ms",
    value: result["warm"],
  };
  const client: Row = {
    id: "knock/client",
    what: "the same, `wkfs client open` included",
    unit: "ms",
    value: result["client"],
  };
  const missing = { value: undefined, note: lack ?? "" };
  for (const row of [
    warm,
    { ...warm, id: "knock/warm/nftables", what: "knock to open, warm connection, nftables", value: result["nftables"] },
  ]) {
    bench.report(
      {
        ...row,
        reference: { what: "bare node:http, same cryptography, spawned `iptables -I`", value: result["naive"]! },
        targets: [atMost(1.5)],
      },
      {
        ...row,
        id: `${row.id}/fwknop`,
        targets: [timesAtMost(0.25)],
        ...(lack === undefined ? { reference: { what: "fwknopd, UDP mode", value: result["fwknop"]! } } : missing),
      },
    );
  }
  bench.report({
    ...client,
    ...(lack === undefined
      ? { reference: { what: "fwknopd, UDP mode, `fwknop` included", value: result["fwknopClient"]! } }
      : { note: lack }),
  });
}

async function naive(stage: Stage, { keys }: Site, knocks: number): Promise<Side> {
  const hosts = await stage.hosts();
  await hosts.server.run("iptables", "-A", "INPUT", "-p", "udp", "--dport", String(UDP_PORT), "-j", "DROP");
  const server = await stage.start([process.execPath, module("reference/bare-http")], { host: hosts.server });
  await server.ask({ mode: "naive", port: HTTP_PORT, keys, status: 200, size: 0 } satisfies BareHttpRequest);
  return (await Door.make(stage, hosts)).side(knocks, async () => ({ http: HTTP_PORT, path: PATH, keys }));
}

async function fwknop(stage: Stage, knocks: number): Promise<Record<"fwknop" | "fwknopClient", Side>> {
  const hosts = await stage.hosts();
  const peer = await Fwknop.start(stage, hosts.server, SERVER, UDP_PORT);
  const door = await Door.make(stage, hosts);
  return {
    fwknop: door.side(knocks, async (address) => ({ udp: FWKNOP_PORT, file: await peer.packet(address) })),
    fwknopClient: door.side(3, async (address) => ({ argv: peer.client(address), home: peer.home })),
  };
}
