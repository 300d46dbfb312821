import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Clock } from "@wkfs/core";
import { checkServerConfig } from "@wkfs/core/config";
import { type Gateway, Services, createGateway } from "@wkfs/core/gateway";
import { FakeClock, type LogLine, MemoryLink, recordingLogger } from "@wkfs/core/testing";
import { ContainerModule } from "inversify";
import { type V1Keys, createV1Codec, encodeFormField } from "../../core/src/protocol/v1.ts";

export function freshKeys(): V1Keys {
  return {
    key1: randomBytes(32),
    iv1: randomBytes(16),
    key2: randomBytes(32),
    iv2: randomBytes(16),
    sign: randomBytes(20),
  };
}

export function keyFile(keys: V1Keys): string {
  return JSON.stringify(
    Object.fromEntries(Object.entries(keys).map(([name, bytes]) => [name, Buffer.from(bytes).toString("hex")])),
  );
}

export interface Answer {
  readonly status: number;
  readonly type: string | null;
  readonly body: Buffer;
  /** The payload of a packet, opened. */
  readonly payload: string | undefined;
}

/** A gateway on a port of its own, with a daemon of the test's behind it. */
export class TestGateway implements AsyncDisposable {
  readonly gateway: Gateway;
  readonly link: MemoryLink;
  readonly log: LogLine[];
  readonly codec;
  readonly url: string;
  readonly #folder: string;

  private constructor(gateway: Gateway, link: MemoryLink, log: LogLine[], keys: V1Keys, folder: string, path: string) {
    this.gateway = gateway;
    this.link = link;
    this.log = log;
    this.codec = createV1Codec(keys);
    this.url = `http://${gateway.address}${path}`;
    this.#folder = folder;
  }

  /** `section` is merged into the gateway's section, `protect` replaces the protected ports. */
  static async start(
    section: object = {},
    keys = freshKeys(),
    protect: object = { tcp: [22, 2222], udp: [1194], maxTime: 600 },
    clock: Clock = new FakeClock(seconds() * 1000),
  ): Promise<TestGateway> {
    const folder = await mkdtemp(join(tmpdir(), "wkfs-gateway-"));
    await writeFile(join(folder, "v1.json"), keyFile(keys), { mode: 0o600 });
    const config = await checkServerConfig({
      protect,
      gateway: { listen: "127.0.0.1:0", path: "/8f3c0c5e", keys: join(folder, "v1.json"), ...section },
    });
    const link = new MemoryLink();
    const log = recordingLogger();
    const module = new ContainerModule(({ bind }) => {
      bind(Services.Transport).toConstantValue(link.transport());
      bind(Services.Clock).toConstantValue(clock);
    });
    const gateway = await createGateway({ config, plugins: [], modules: [module], log });
    try {
      await gateway.start();
    } catch (error) {
      await rm(folder, { recursive: true });
      throw error;
    }
    return new TestGateway(gateway, link, log.lines, keys, folder, "/8f3c0c5e");
  }

  /** Has a daemon answer everything with this text. */
  async daemon(reply: string | ((request: unknown) => Promise<string>)): Promise<void> {
    await this.link.transport().listen(async (request) => (typeof reply === "string" ? reply : await reply(request)));
  }

  async post(body: string | Buffer, headers: Record<string, string> = {}): Promise<Answer> {
    return await this.fetch({
      method: "POST",
      body,
      headers: { "content-type": "application/x-www-form-urlencoded", ...headers },
    });
  }

  async fetch(init: RequestInit, path = ""): Promise<Answer> {
    const response = await fetch(this.url + path, { redirect: "manual", ...init });
    const body = Buffer.from(await response.arrayBuffer());
    const type = response.headers.get("content-type");
    let payload: string | undefined;
    if (response.status === 200) payload = Buffer.from(this.codec.open(body)!).toString();
    return { status: response.status, type, body, payload };
  }

  form(payload: unknown): string {
    return encodeFormField(
      this.codec.seal(Buffer.from(typeof payload === "string" ? payload : JSON.stringify(payload))),
    );
  }

  /** Seals and posts a payload as a client does. */
  async knock(payload: unknown, headers?: Record<string, string>): Promise<Answer> {
    return await this.post(`data=${this.form(payload)}`, headers);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.gateway.stop();
    await rm(this.#folder, { recursive: true });
  }
}

const NOW = Math.floor(Date.now() / 1000);

/** The time of the tests' gateways, in seconds: it stands. */
export function seconds(): number {
  return NOW;
}
