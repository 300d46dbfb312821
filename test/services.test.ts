import { writeFile } from "node:fs/promises";
import type { Clock, Logger, Notification, Notifier, Store, StoreChange, Transport } from "@wkfs/core";
import { type ServerConfig, checkServerConfig } from "@wkfs/core/config";
import {
  ConfiguredPolicy,
  type Policy,
  type Question,
  type RecordFile,
  Services,
  createDaemon,
} from "@wkfs/core/daemon";
import { createGateway } from "@wkfs/core/gateway";
import { FakeClock, MemoryFirewall, MemoryLink, MemoryStore, settle } from "@wkfs/core/testing";
import { type Container, ContainerModule, inject, injectable } from "inversify";
import { describe, expect, it } from "vitest";
import { Scratch } from "./support/files.ts";
import { freshKeys, keyFile } from "./support/gateway.ts";

type Bind = Container["bind"];

/** Which of the classes below were used in place of core's, and what they were given. */
let used: Set<keyof typeof Services>;
let link: MemoryLink;

@injectable()
class OwnClock extends FakeClock {
  override now(): number {
    used.add("Clock");
    return super.now();
  }
}

@injectable()
class OwnLogger implements Logger {
  debug(): void {}
  info(): void {
    used.add("Logger");
  }
  warn(): void {}
  error(): void {}
}

@injectable()
class OwnAbort extends AbortController {
  override abort(): void {
    used.add("Abort");
    super.abort();
  }
}

@injectable()
class OwnTransport implements Transport {
  readonly addresses: readonly string[];
  readonly #inner = link.transport();
  readonly listen = this.#inner.listen;
  readonly call = this.#inner.call;
  constructor(@inject(Services.Config) config: ServerConfig) {
    this.addresses = [config.protect.tcp.join()];
  }
  async close(): Promise<void> {
    used.add("Transport");
    await this.#inner.close();
  }
}

@injectable()
class OwnStore extends MemoryStore implements Store {
  readonly #log: Logger;
  constructor(@inject(Services.Logger) log: Logger) {
    super();
    this.#log = log;
  }
  override async write(change: StoreChange): Promise<void> {
    used.add("Store");
    this.#log.debug({}, "writing");
    await super.write(change);
  }
}

@injectable()
class OwnFirewall extends MemoryFirewall {
  constructor(@inject(Services.Clock) clock: Clock) {
    super({ clock });
  }
  override async attach(): Promise<void> {
    used.add("Firewalls");
    await super.attach();
  }
}

@injectable()
class OwnNotifier implements Notifier {
  readonly #clock: Clock;
  readonly #log: Logger;
  constructor(@inject(Services.Clock) clock: Clock, @inject(Services.Logger) log: Logger) {
    this.#clock = clock;
    this.#log = log;
  }
  async notify({ events }: Notification): Promise<void> {
    used.add("Notifiers");
    this.#log.debug({ late: this.#clock.now() - events[0]!.time }, "told");
  }
  async close(): Promise<void> {}
}

@injectable()
class OwnRecord implements RecordFile {
  async read(): Promise<undefined> {
    used.add("Activation");
  }
  async write(): Promise<void> {}
}

/** Nobody but by its name, and one port less. */
@injectable()
class OwnPolicy implements Policy {
  readonly #configured: ConfiguredPolicy;
  constructor(@inject(Services.Config) config: ServerConfig) {
    this.#configured = new ConfiguredPolicy(config);
  }
  clientOf: Policy["clientOf"] = (knock) => this.#configured.clientOf(knock);
  uphold: Policy["uphold"] = (lease, now) => this.#configured.uphold(lease, now);
  decide(question: Question): ReturnType<Policy["decide"]> {
    used.add("Policy");
    if (question.knock.ports.some(({ number }) => number === 23)) return { refusal: "not_allowed" };
    return this.#configured.decide(question);
  }
}

/** How each is replaced; a service without a line here is an error of types. */
const replacements: Record<keyof typeof Services, (bind: Bind) => void> = {
  Config: (bind) =>
    bind(Services.Config).toResolvedValue(async () => {
      used.add("Config");
      return await checkServerConfig({ ...sections, protect: { tcp: [22] } });
    }, []),
  Clock: (bind) => bind(Services.Clock).to(OwnClock),
  Logger: (bind) => bind(Services.Logger).to(OwnLogger),
  Abort: (bind) => bind(Services.Abort).to(OwnAbort),
  Transport: (bind) => bind(Services.Transport).to(OwnTransport),
  Store: (bind) => bind(Services.Store).to(OwnStore),
  Firewalls: (bind) => {
    bind(OwnFirewall).toSelf();
    bind(Services.Firewalls).toResolvedValue((plugin: OwnFirewall) => [{ name: "own", plugin }], [OwnFirewall]);
  },
  Notifiers: (bind) => {
    bind(OwnNotifier).toSelf();
    bind(Services.Notifiers).toResolvedValue((plugin: OwnNotifier) => [{ name: "own", plugin }], [OwnNotifier]);
  },
  Activation: (bind) => bind(Services.Activation).to(OwnRecord),
  Policy: (bind) => bind(Services.Policy).to(OwnPolicy),
};
const sections: Record<string, unknown> = { protect: { tcp: [22, 23] } };

/** There are no plugins here: these stand in for those of core's own services that would be plugins. */
const standIns: Partial<typeof replacements> = {
  Transport: (bind) => bind(Services.Transport).toConstantValue(link.transport()),
  Store: (bind) => bind(Services.Store).toConstantValue(new MemoryStore()),
  Notifiers: (bind) => bind(Services.Notifiers).toConstantValue([]),
  Firewalls: (bind) =>
    bind(Services.Firewalls).toResolvedValue(
      (clock: Clock) => [{ name: "memory", plugin: new MemoryFirewall({ clock }) }],
      [Services.Clock],
    ),
};
const ids = Object.keys(Services) as (keyof typeof Services)[];

/** Replaces these, and lets the others be what they are. */
function replacing(...replaced: readonly (keyof typeof Services)[]): ContainerModule {
  used = new Set();
  link = new MemoryLink();
  return new ContainerModule(({ bind }) => {
    for (const id of ids) (replaced.includes(id) ? replacements : standIns)[id]?.(bind as Bind);
  });
}

const ask = (port: number) =>
  link
    .transport()
    .call({ ip: "10.0.0.2", ports: [{ proto: "TCP", num: port }], time: 5 }, AbortSignal.timeout(5000))
    .then((text) => JSON.parse(text) as object);

describe("a service of the daemon", () => {
  it.each(ids)("is replaced by a class of the embedder's: %s", async (id) => {
    const config = await checkServerConfig(sections);
    const daemon = await createDaemon({ config, plugins: [], modules: [replacing(id)] });
    await daemon.start();
    expect(await ask(22)).toMatchObject({ success: true });
    await settle();
    await daemon.stop();
    expect([...used]).toEqual([id]);
  });

  it("is replaced together with all others", async () => {
    const config = await checkServerConfig(sections);
    const daemon = await createDaemon({ config, plugins: [], modules: [replacing(...ids)] });
    await daemon.start();
    // The configuration that was put in place of the other protects no port 23, and the policy is asked first.
    expect(await ask(23)).toMatchObject({ success: false, errorcode: "not_allowed" });
    expect(await ask(22)).toMatchObject({ success: true });
    await settle();
    await daemon.stop();
    expect([...used].toSorted()).toEqual(ids.toSorted());
  });
});

describe("a service of the gateway", () => {
  it.each(["Config", "Clock", "Logger", "Abort", "Transport"] as const)("is replaced: %s", async (id) => {
    await using scratch = await Scratch.create();
    await writeFile(scratch.path("v1.json"), keyFile(freshKeys()), { mode: 0o600 });
    const gateway = { listen: "127.0.0.1:0", path: "/x", keys: scratch.path("v1.json") };
    Object.assign(sections, { gateway });
    const config = await checkServerConfig(sections);
    const served = await createGateway({ config, plugins: [], modules: [replacing(id)], listen: false });
    await served.start();
    await served.stop();
    delete sections["gateway"];
    expect([...used]).toEqual([id]);
  });
});
