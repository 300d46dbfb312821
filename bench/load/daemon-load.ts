// Asks a daemon for leases as a gateway does, in a process of its own: in the frames of @wkfs/localhost-tcp, with little
// work for each request, so that it is the daemon that is measured.
import { readFileSync } from "node:fs";
import { type Socket, connect } from "node:net";
import { once } from "node:events";
import { FIRST, FrameReader, FrameWriter, MAX_UNDER_WAY } from "../../plugins/localhost-tcp/src/frames.ts";
import { answers } from "../answers.ts";
import { clientAddress } from "../stage.ts";

export type DaemonLoadRequest =
  /** Where the daemon listens, and the file with the secret; to be sent first. */
  | { readonly host: string; readonly port: number; readonly secret: string }
  /** One request for each of `count` clients from the `first` on, `inFlight` at a time. Seconds. */
  | {
      readonly first: number;
      readonly count: number;
      readonly inFlight: number;
      readonly time: number;
      readonly udpPort: number;
    }
  /** One request after the other, for this client, until `until` (ms since the epoch). */
  | { readonly again: number; readonly until: number; readonly time: number; readonly udpPort: number };

export interface DaemonLoadReply {
  /** Milliseconds for all. */
  readonly took: number;
  readonly requests: number;
  /** The longest that one of them waited, in milliseconds. */
  readonly longest: number;
}

const LARGEST_REPLY = 65_536;
const SUCCESS = Buffer.from('{"success":true');
const LINKS = 2;

/** A connection to the daemon, and how many requests wait on it. */
class Link {
  readonly #writer: FrameWriter;
  readonly #reader = new FrameReader(LARGEST_REPLY);
  /** When each was sent, by its number. */
  readonly #sent = new Map<number, number>();
  #number = FIRST;
  longest = 0;
  failure: string | undefined;
  /** Called for each answer. */
  answered: () => void = () => {};

  private constructor(socket: Socket) {
    this.#writer = new FrameWriter((bytes) => socket.write(bytes));
    this.#sent.set(FIRST, 0);
    socket.on("data", (piece) => {
      if (!this.#reader.take(piece, (number, body) => this.#take(number, body)))
        this.failure = "the daemon does not speak in frames";
    });
    socket.on("close", () => (this.failure ??= "the daemon closed the connection"));
  }

  static async open(host: string, port: number, secret: string): Promise<Link> {
    const socket = connect({ host, port, noDelay: true });
    await once(socket, "connect");
    // Asks for nothing, which is refused: a connection begins with a request.
    socket.write(JSON.stringify({ ip: "192.0.2.1", ports: [], time: 1, secret, frames: 1 }));
    const [piece] = (await once(socket, "data")) as [Buffer];
    const link = new Link(socket);
    const begun = new Promise<void>((resolve) => (link.answered = resolve));
    socket.emit("data", piece);
    await begun;
    return link;
  }

  get waiting(): number {
    return this.#sent.size;
  }

  send(text: string): void {
    this.#number += 1;
    this.#sent.set(this.#number, performance.now());
    this.#writer.add(this.#number, text);
  }

  #take(number: number, body: Uint8Array): void {
    if (number !== FIRST) this.longest = Math.max(this.longest, performance.now() - this.#sent.get(number)!);
    this.#sent.delete(number);
    const right = number === FIRST || SUCCESS.equals(body.subarray(0, SUCCESS.length));
    if (!right) this.failure = `the daemon answered ${Buffer.from(body).toString()}`;
    this.answered();
  }
}

let links: readonly Link[] = [];

function requestOf(index: number, time: number, udpPort: number): string {
  return `{"ip":"${clientAddress(index)}","ports":[{"proto":"UDP","num":${udpPort}}],"time":${time},"client":"default"}`;
}

/** Keeps `inFlight` requests under way until `next` has none left and all are answered. */
async function run(inFlight: number, next: () => string | undefined): Promise<{ requests: number; longest: number }> {
  let requests = 0;
  const each = Math.min(MAX_UNDER_WAY, Math.ceil(inFlight / links.length));
  await Promise.all(
    links.slice(0, inFlight).map(
      (link) =>
        new Promise<void>((resolve, reject) => {
          link.longest = 0;
          const more = () => {
            if (link.failure !== undefined) return reject(new Error(link.failure));
            for (let under = link.waiting; under < each; under += 1) {
              const request = next();
              if (request === undefined) break;
              requests += 1;
              link.send(request);
            }
            if (link.waiting === 0) resolve();
          };
          link.answered = more;
          more();
        }),
    ),
  );
  return { requests, longest: Math.max(...links.slice(0, inFlight).map(({ longest }) => longest)) };
}

answers<DaemonLoadRequest>(async (request): Promise<DaemonLoadReply | undefined> => {
  if ("host" in request) {
    const secret = readFileSync(request.secret, "utf8").trim();
    links = await Promise.all(Array.from({ length: LINKS }, () => Link.open(request.host, request.port, secret)));
    return undefined;
  }
  const { time, udpPort } = request;
  const started = performance.now();
  let index = 0;
  const done =
    "again" in request
      ? await run(1, () => (Date.now() < request.until ? requestOf(request.again, time, udpPort) : undefined))
      : await run(request.inFlight, () =>
          index < request.count ? requestOf(request.first + index++, time, udpPort) : undefined,
        );
  return { took: performance.now() - started, ...done };
});
