// Sends knocks over kept connections, one at a time on each, in a process of its own. The requests are made before the
// clock starts, and an answer is looked at no more than is needed to know that it is the right one.
import { randomBytes } from "node:crypto";
import { type Socket, connect } from "node:net";
import { once } from "node:events";
import { answers } from "../answers.ts";
import { clientAddress } from "../stage.ts";
import { httpRequest, readCodec } from "./packets.ts";

export type Kind = "getinfo" | "renewal" | "garbage";
export type HttpLoadRequest =
  | {
      readonly kind: Kind;
      readonly host: string;
      /** Connections are spread over these. */
      readonly ports: readonly number[];
      readonly path: string;
      readonly keys: string;
      readonly udpPort: number;
      readonly connections: number;
      /** Most requests that are made ready; what of them is not sent by then is left, when the time is over. */
      readonly requests: number;
      readonly status: number;
    }
  /** Sends for so many milliseconds at most. */
  | { readonly go: number };
export interface HttpLoadReply {
  /** Milliseconds. */
  readonly took: number;
  /** Requests that were answered. */
  readonly answered: number;
  /** CPU that this process used meanwhile, in seconds. */
  readonly cpu: number;
}

const HEAD_END = Buffer.from("\r\n\r\n");
let serial = Date.now();

/** A request's payload. What a gateway has seen it does not pass on again, so each has a number of its own. */
function payload(kind: Kind, address: string, udpPort: number): Buffer {
  const ts = Math.floor(Date.now() / 1000);
  serial += 1;
  const request =
    kind === "getinfo"
      ? { api: "getinfo", ver: 1, ts, serial }
      : { api: "openports", ip: address, ports: [{ proto: "UDP", num: udpPort }], time: 3600, ver: 1, ts, serial };
  return Buffer.from(JSON.stringify(request));
}

/** One kept connection and what it will send. */
class Connection {
  readonly #socket: Socket;
  readonly #requests: readonly Buffer[];
  readonly #status: string;

  constructor(socket: Socket, requests: readonly Buffer[], status: number) {
    this.#socket = socket;
    this.#requests = requests;
    this.#status = `HTTP/1.1 ${status}`;
  }

  /** Gives the number of requests that were answered. */
  run(until: number): Promise<number> {
    return new Promise((resolve, reject) => {
      let sent = 0;
      let held: Buffer | undefined;
      const next = () => {
        if (sent === this.#requests.length || performance.now() > until) return resolve(sent);
        this.#socket.write(this.#requests[sent++]!);
      };
      this.#socket.on("data", (chunk) => {
        held = held === undefined ? chunk : Buffer.concat([held, chunk]);
        const end = held.indexOf(HEAD_END);
        if (end === -1) return;
        const head = held.toString("latin1", 0, end);
        const length = /content-length: (\d+)/i.exec(head)?.[1];
        if (!head.startsWith(this.#status) || length === undefined)
          return reject(new Error(`unexpected answer: ${head.split("\r\n", 1)[0]}`));
        if (held.length < end + HEAD_END.length + Number(length)) return;
        held = undefined;
        next();
      });
      this.#socket.on("error", reject);
      this.#socket.on("close", () => reject(new Error("the server closed a kept connection")));
      next();
    });
  }

  end(): void {
    this.#socket.removeAllListeners();
    this.#socket.destroy();
  }
}

let prepared: readonly Connection[] = [];

answers<HttpLoadRequest>(async (request): Promise<HttpLoadReply | undefined> => {
  if ("go" in request) {
    const before = process.cpuUsage();
    const started = performance.now();
    try {
      const counts = await Promise.all(prepared.map((connection) => connection.run(started + request.go)));
      const took = performance.now() - started;
      const { user, system } = process.cpuUsage(before);
      return { took, answered: counts.reduce((sum, count) => sum + count, 0), cpu: (user + system) / 1e6 };
    } finally {
      for (const connection of prepared) connection.end();
    }
  }
  const { kind, host, ports, path, keys, udpPort, connections, requests, status } = request;
  const codec = readCodec(keys);
  const made: Connection[] = [];
  for (let index = 0; index < connections; index += 1) {
    const address = clientAddress(index);
    const count = Math.ceil((requests * (index + 1)) / connections) - Math.ceil((requests * index) / connections);
    const texts = Array.from({ length: count }, () => {
      const packet = kind === "garbage" ? randomBytes(512) : codec.seal(payload(kind, address, udpPort));
      return httpRequest(path, host, packet);
    });
    const socket = connect({ host, port: ports[index % ports.length]!, localAddress: address, noDelay: true });
    await once(socket, "connect");
    made.push(new Connection(socket, texts, status));
  }
  prepared = made;
  return undefined;
});
