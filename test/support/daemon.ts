import { checkServerConfig } from "@wkfs/core/config";
import type { EventType, Notifier } from "@wkfs/core";
import { type Daemon, type RecordFile, Services, createDaemon } from "@wkfs/core/daemon";
import {
  FakeClock,
  type LogLine,
  MemoryFirewall,
  MemoryLink,
  MemoryStore,
  recordingLogger,
  settle,
} from "@wkfs/core/testing";
import { ContainerModule } from "inversify";

export interface TestDaemonOptions {
  readonly clock?: FakeClock;
  readonly store?: MemoryStore;
  readonly firewalls?: readonly MemoryFirewall[];
  readonly notifiers?: readonly { readonly name: string; readonly plugin: Notifier; readonly events?: EventType[] }[];
  readonly gateway?: object;
  readonly protect?: object;
  readonly limits?: object;
  readonly control?: object;
  readonly signal?: AbortSignal;
  readonly record?: RecordFile;
}

/** A daemon whose kernel, disk, wire and time are the test's. */
export class TestDaemon implements AsyncDisposable {
  readonly daemon: Daemon;
  readonly clock: FakeClock;
  readonly store: MemoryStore;
  readonly firewalls: readonly MemoryFirewall[];
  readonly log: LogLine[];
  readonly #caller;

  private constructor(
    daemon: Daemon,
    clock: FakeClock,
    store: MemoryStore,
    firewalls: readonly MemoryFirewall[],
    log: LogLine[],
    link: MemoryLink,
  ) {
    this.daemon = daemon;
    this.clock = clock;
    this.store = store;
    this.firewalls = firewalls;
    this.log = log;
    this.#caller = link.transport();
  }

  static async create(options: TestDaemonOptions = {}): Promise<TestDaemon> {
    const clock = options.clock ?? new FakeClock();
    const store = options.store ?? new MemoryStore();
    const firewalls = options.firewalls ?? [new MemoryFirewall({ clock })];
    const link = new MemoryLink();
    const log = recordingLogger();
    const config = await checkServerConfig({
      protect: options.protect ?? { tcp: [22, 5432], udp: [1194], maxTime: 600 },
      ...(options.gateway && { gateway: options.gateway }),
      ...(options.control && { control: options.control }),
      // A clock that stands makes all knocks those of one second.
      limits: { knocksPerSecond: 1000, ...options.limits },
    });
    const module = new ContainerModule(({ bind }) => {
      bind(Services.Clock).toConstantValue(clock);
      bind(Services.Store).toConstantValue(store);
      bind(Services.Transport).toConstantValue(link.transport());
      bind(Services.Firewalls).toConstantValue(
        firewalls.map((plugin, index) => ({ name: `fake${index + 1}`, plugin })),
      );
      if (options.record !== undefined) bind(Services.Activation).toConstantValue(options.record);
      bind(Services.Notifiers).toConstantValue([...(options.notifiers ?? [])]);
    });
    const daemon = await createDaemon({
      config,
      plugins: [],
      modules: [module],
      log,
      ...(options.signal && { signal: options.signal }),
    });
    return new TestDaemon(daemon, clock, store, firewalls, log.lines, link);
  }

  static async start(options: TestDaemonOptions = {}): Promise<TestDaemon> {
    const created = await TestDaemon.create(options);
    await created.daemon.start();
    return created;
  }

  /** Asks for ports as a gateway does; the answer as an object. */
  async ask(request: object = {}): Promise<Record<string, unknown>> {
    const grant = { ip: "10.91.0.2", ports: [{ proto: "TCP", num: 22 }], time: 60, ...request };
    return JSON.parse(await this.#caller.call(grant, new AbortController().signal)) as Record<string, unknown>;
  }

  /** What the kernel of a firewall holds now. */
  async kernel(index = 0): Promise<string[]> {
    const { leases } = await this.firewalls[index]!.list();
    return leases.map(({ address, port }) => `${address.text} ${port.protocol}/${port.number}`).toSorted();
  }

  history(): string[] {
    return this.store.historyOnDisk.map(({ type }) => type);
  }

  /** Moves time and lets what follows from it happen. */
  async advance(ms: number): Promise<void> {
    await this.clock.advance(ms);
    await settle();
  }

  /** Stops, and moves time on for what a stop waits for at most. */
  async stop(): Promise<void> {
    const stopping = this.daemon.stop();
    stopping.catch(() => {});
    await settle();
    while (this.daemon.status !== "stopped") await this.clock.advance(1000);
    await stopping;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
