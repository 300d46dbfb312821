import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkServerConfig } from "@wkfs/core/config";
import { controlCall } from "@wkfs/core/control";
import { ReloadingDaemon, Services } from "@wkfs/core/daemon";
import { FakeClock, MemoryFirewall, MemoryLink, MemoryStore, recordingLogger } from "@wkfs/core/testing";
import type { ReleaseOptions } from "@wkfs/core";
import { ContainerModule } from "inversify";
import { describe, expect, it } from "vitest";

const BASE = {
  protect: { tcp: [22], maxTime: 600 },
  gateway: { path: "/x", keys: [{ name: "phone", keys: "phone.json" }] } as object,
  firewall: [{ use: "fake" }],
};

/** Notes how it was released. */
class Watched extends MemoryFirewall {
  readonly releases: (ReleaseOptions | undefined)[] = [];
  override async release(options?: ReleaseOptions): Promise<void> {
    this.releases.push(options);
    await super.release();
  }
}

/** A daemon of fakes that reads `file.value` anew. */
async function reloading(change: object = {}) {
  const folder = await mkdtemp(join(tmpdir(), "reload-"));
  const path = join(folder, "control.sock");
  const clock = new FakeClock();
  const [store, link, firewall] = [new MemoryStore(), new MemoryLink(), new Watched({ clock })];
  const file = { value: { ...BASE, control: { path }, ...change } as object };
  const log = recordingLogger();
  const module = new ContainerModule(({ bind }) => {
    bind(Services.Clock).toConstantValue(clock);
    bind(Services.Store).toConstantValue(store);
    bind(Services.Transport).toConstantValue(link.transport());
    bind(Services.Firewalls).toConstantValue([{ name: "fake", plugin: firewall }]);
  });
  const load = async () => ({ config: await checkServerConfig(file.value), plugins: [] });
  const daemon = await ReloadingDaemon.create({ load, modules: [module], log });
  await daemon.start();
  const caller = link.transport();
  const knock = async (request: object = {}) => {
    const grant = { ip: "10.91.0.2", ports: [{ proto: "TCP", num: 22 }], time: 60, client: "phone", ...request };
    return JSON.parse(await caller.call(grant, new AbortController().signal)) as Record<string, unknown>;
  };
  return {
    daemon,
    file,
    store,
    firewall,
    clock,
    log,
    knock,
    reload: () => controlCall({ path, op: "reload", args: {} }),
    events: () => controlCall({ path, op: "events", args: {} }),
    status: () => controlCall({ path, op: "status", args: {} }),
    kernel: async () => (await firewall.list()).leases.map(({ address, port }) => `${address.text} ${port.number}`),
    async [Symbol.asyncDispose]() {
      await daemon.stop();
      await rm(folder, { recursive: true });
    },
  };
}

describe("a daemon that reads its configuration anew", () => {
  it.each([0, 1])("ends when its daemon ends by itself, after %i reloads", async (reloads) => {
    await using own = await reloading();
    for (let count = 0; count < reloads; count += 1) await own.reload();
    await own.daemon.daemon.leave();
    await own.daemon.stopped;
    expect(own.firewall.missing).not.toEqual([]);
  });

  it("keeps leases, and takes ports, times and key sets from the new one", async () => {
    await using own = await reloading();
    expect(await own.knock()).toMatchObject({ success: true });
    own.file.value = {
      ...own.file.value,
      protect: { tcp: [22, 5432], maxTime: 10 },
      gateway: { path: "/x", keys: [{ name: "office", keys: "office.json" }] },
    };
    expect(await own.reload()).toMatchObject({ changed: ["protect", "gateway.keys"], gap: expect.any(Number) });
    expect(own.daemon.daemon.leases.size).toBe(1);
    // What stands lasts no longer than a new one would.
    expect(own.daemon.daemon.leases.all()[0]!.deadline).toBe(own.clock.now() + 10_000);
    expect(await own.knock()).toMatchObject({ errorcode: "unknown_client" });
    expect(await own.knock({ client: "office", ports: [{ proto: "TCP", num: 5432 }] })).toMatchObject({
      success: true,
    });
    expect(await own.kernel()).toEqual(["10.91.0.2 22", "10.91.0.2 5432"]);
    // The filter was handed to a successor, and is released for good at the end.
    expect(own.firewall.releases).toEqual([{ successor: true }]);
    await own.daemon.stop();
    expect(own.firewall.releases).toEqual([{ successor: true }, { successor: false }]);
  });

  it("goes on as it was with one that is wrong, or that needs a restart", async () => {
    await using own = await reloading();
    const right = own.file.value;
    for (const [wrong, code] of [
      [{ protect: {} }, "CONFIG_INVALID"],
      [{ ...right, store: { use: "sqlite", path: "/x" } }, "CONFIG_INVALID"],
      [{ ...right, firewall: [{ use: "fake", mode: "allow" }] }, "CONFIG_INVALID"],
      [{ ...right, notify: [{ use: "nobody" }] }, "PLUGIN_INVALID"],
    ] as const) {
      own.file.value = wrong;
      await expect(own.reload()).rejects.toMatchObject({ code });
      expect(await own.knock()).toMatchObject({ success: true });
    }
    expect(own.firewall.releases).toEqual([]);
  });

  it("answers who knocks meanwhile, once the other one is there", async () => {
    await using own = await reloading();
    const old = own.daemon.daemon;
    const opened = Promise.withResolvers<void>();
    const open = own.store.open.bind(own.store);
    own.store.open = async () => {
      await opened.promise;
      await open();
    };
    const reload = own.reload();
    await old.stopped;
    let answered = false;
    const [waiting, asked] = [own.knock().finally(() => (answered = true)), own.status()];
    await new Promise((resolve) => setImmediate(resolve));
    expect(answered).toBe(false);
    opened.resolve();
    await reload;
    expect(await waiting).toMatchObject({ success: true });
    expect(await asked).toMatchObject({ leases: expect.any(Number) });
  });

  it("goes back when the new one does not start, and leases stay", async () => {
    await using own = await reloading();
    await own.knock();
    const open = own.store.open.bind(own.store);
    let failing = 1;
    own.store.open = async () => {
      if (failing > 0) {
        failing -= 1;
        throw new Error("the disk is away");
      }
      await open();
    };
    own.file.value = { ...own.file.value, protect: { tcp: [22], maxTime: 700 } };
    await expect(own.reload()).rejects.toThrow(/disk/);
    expect(own.daemon.daemon.leases.size).toBe(1);
    expect(await own.knock()).toMatchObject({ success: true });
    expect(await own.reload()).toMatchObject({ changed: ["protect", "gateway.keys"] });
  });

  it("ends, and says so, when neither starts", async () => {
    await using own = await reloading();
    own.store.open = () => Promise.reject(new Error("the disk is away"));
    await expect(own.reload()).rejects.toThrow(/disk|DAEMON|connection/i);
    await expect(own.daemon.stopped).rejects.toThrow(/disk/);
    await expect(own.status()).rejects.toMatchObject({ code: "DAEMON_UNREACHABLE" });
  });

  it("tells those who follow events that there is another one now", async () => {
    await using own = await reloading();
    const followed = own.events().catch((error: unknown) => error);
    // What is asked after it on the same daemon is answered after it was begun.
    await own.status();
    await own.reload();
    expect(await followed).toMatchObject({ code: "CONTROL_FAILED" });
  });
});
