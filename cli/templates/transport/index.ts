import { createHash, timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import { type Server, type Socket, connect, createServer } from "node:net";
import { API_VERSION, type GrantHandler, type GrantRequest, type Transport, WkfsError } from "@wkfs/core";
import { definePlugin, messageOf } from "@wkfs/core";
import { z } from "zod";

const LIMIT = 65_536;

class PlainSocket implements Transport {
  readonly addresses: readonly string[];
  readonly #path: string;
  readonly #secret: string;
  readonly #reading = new Set<Socket>();
  readonly #calls = new Set<Socket>();
  #server: Server | undefined;

  constructor(path: string, secret: string) {
    this.addresses = [`unix:${path}`];
    this.#path = path;
    this.#secret = secret;
  }

  async listen(handler: GrantHandler) {
    const server = createServer({ allowHalfOpen: true }, (socket) => void this.#serve(socket, handler));
    server.maxConnections = 256;
    server.listen(this.#path);
    await once(server, "listening").catch((error: unknown) => {
      const hint = "Another daemon has the socket, or one that crashed left it: remove it then.";
      throw new WkfsError("TRANSPORT_FAILED", `cannot listen: ${messageOf(error)}`, { hint });
    });
    this.#server = server;
  }

  async call(request: GrantRequest, signal: AbortSignal) {
    const socket = connect({ path: this.#path, allowHalfOpen: true });
    const end = AbortSignal.any([signal, AbortSignal.timeout(60_000)]);
    const callOff = () => socket.destroy(new Error("the call was ended"));
    let taken = false;
    this.#calls.add(socket.on("error", () => {}));
    try {
      end.throwIfAborted();
      end.addEventListener("abort", callOff, { once: true });
      await once(socket, "connect", { signal: AbortSignal.timeout(3000) });
      taken = true;
      socket.end(JSON.stringify({ ...request, secret: this.#secret }));
      return (await readAll(socket)) || (await Promise.reject(new Error("the daemon broke off")));
    } catch (error) {
      const code = taken ? "TRANSPORT_FAILED" : "TRANSPORT_UNREACHABLE";
      throw new WkfsError(code, `${this.#path}: ${messageOf(error)}`, { hint: "See the log of the daemon." });
    } finally {
      end.removeEventListener("abort", callOff);
      this.#calls.delete(socket);
      socket.destroy();
    }
  }

  async close() {
    for (const socket of [...this.#reading, ...this.#calls]) socket.destroy();
    const server = this.#server;
    if (server?.listening) await new Promise((resolve) => server.close(resolve));
  }

  /** Nobody hears why a request was not taken. */
  async #serve(socket: Socket, handler: GrantHandler) {
    this.#reading.add(socket.on("error", () => {}));
    socket.setTimeout(90_000, () => socket.destroy());
    try {
      const { secret, ...request } = JSON.parse(await readAll(socket)) as GrantRequest & { readonly secret: unknown };
      if (!equal(secret, this.#secret)) throw new Error("another secret");
      this.#reading.delete(socket);
      socket.end(await handler(request));
    } catch {
      socket.destroy();
    } finally {
      this.#reading.delete(socket);
    }
  }
}

async function readAll(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > LIMIT) throw new Error(`more than ${LIMIT} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function equal(given: unknown, secret: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return typeof given === "string" && timingSafeEqual(digest(given), digest(secret));
}

export default definePlugin({
  name: "example",
  apiVersion: API_VERSION,
  kind: "transport",
  configSchema: z.strictObject({ path: z.string().startsWith("/"), secret: z.string() }),
  create: async ({ path, secret }, { readSecret }) => new PlainSocket(path, await readSecret(secret)),
});
