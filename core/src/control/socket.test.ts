import { once } from "node:events";
import { lstat, mkdtemp, rm, writeFile } from "node:fs/promises";
import { type Socket, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { recordingLogger } from "@wkfs/core/testing";
import { WkfsError } from "../model/errors.ts";
import { controlCall } from "./client.ts";
import type { Operations } from "./messages.ts";
import { ControlSocket } from "./socket.ts";

const OPERATIONS: Operations = {
  echo: async (args) => args,
  count: async ({ to }, send) => {
    for (let number = 1; number <= Number(to); number += 1) await send({ number });
    return { sent: Number(to) };
  },
  refuse: async () => {
    throw new WkfsError("FIREWALL_FULL", "no room", { hint: "Make some." });
  },
  break: async () => {
    throw new TypeError("unforeseen");
  },
  wait: (_args, _send, signal) =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true })),
};

async function listening(operations: Operations = OPERATIONS) {
  const folder = await mkdtemp(join(tmpdir(), "control-"));
  const path = join(folder, "run", "control.sock");
  const log = recordingLogger();
  const socket = new ControlSocket({ path, group: undefined }, log);
  socket.serve(operations);
  await socket.open();
  return {
    path,
    folder,
    log,
    socket,
    ask: (op: string, args = {}, more = {}) => controlCall({ path, op, args, ...more }),
    async [Symbol.asyncDispose]() {
      await socket.close();
      await rm(folder, { recursive: true });
    },
  };
}

async function raw(path: string): Promise<Socket> {
  const socket = connect({ path });
  socket.on("error", () => {});
  await once(socket, "connect");
  return socket;
}

describe("the control socket", () => {
  it("answers, with items first and in order", async () => {
    await using daemon = await listening();
    expect(await daemon.ask("echo", { text: "zwölf\n" })).toEqual({ text: "zwölf\n" });
    const items: unknown[] = [];
    const onItem = (item: unknown) => items.push(item);
    expect(await daemon.ask("count", { to: 3 }, { onItem })).toEqual({ sent: 3 });
    expect(items).toEqual([{ number: 1 }, { number: 2 }, { number: 3 }]);
  });

  it("sends no more than who asks reads", async () => {
    let sent = 0;
    const endless: Operations = {
      flood: async (_args, send) => {
        for (;;) {
          await send("x".repeat(100_000));
          sent += 1;
        }
      },
    };
    await using daemon = await listening(endless);
    const socket = await raw(daemon.path);
    socket.pause();
    socket.write('{"id":1,"op":"flood"}\n');
    // The daemon's answers to another show that it does not compute for the one that does not read.
    await expect(daemon.ask("nothing")).rejects.toMatchObject({ code: "CONTROL_FAILED" });
    expect(sent).toBeLessThan(100);
    socket.destroy();
  });

  it("tells errors as they are, and what was not foreseen without its insides", async () => {
    await using daemon = await listening();
    await expect(daemon.ask("refuse")).rejects.toMatchObject({ code: "FIREWALL_FULL", hint: "Make some." });
    await expect(daemon.ask("break")).rejects.toMatchObject({ code: "CONTROL_FAILED" });
    await expect(daemon.ask("toString")).rejects.toMatchObject({ code: "CONTROL_FAILED", hint: /echo, count/ });
    expect(daemon.log.lines.map(({ level }) => level)).toEqual(["error"]);
  });

  it("ends what is under way when it closes, and when who asked is gone", async () => {
    const daemon = await listening();
    const asked = daemon.ask("wait").catch((error: unknown) => error);
    await daemon.ask("echo");
    await daemon[Symbol.asyncDispose]();
    expect(await asked).toMatchObject({ code: expect.stringMatching(/CONTROL_FAILED|DAEMON_UNREACHABLE/) });

    const begun = Promise.withResolvers<void>();
    const calledOff = Promise.withResolvers<void>();
    await using other = await listening({
      wait: (_args, _send, signal) => {
        begun.resolve();
        return new Promise((_, reject) => {
          signal.addEventListener("abort", () => (calledOff.resolve(), reject(new Error("gone"))));
        });
      },
    });
    const leave = new AbortController();
    const left = other.ask("wait", {}, { signal: leave.signal });
    await begun.promise;
    leave.abort(new Error("enough"));
    await expect(left).rejects.toThrow("enough");
    await calledOff.promise;
    await expect(other.ask("wait", {}, { signal: leave.signal })).rejects.toThrow("enough");
  });

  it.each([
    ["no JSON", "hello\n"],
    ["no object", "17\n"],
    ["no id", '{"op":"echo"}\n'],
    ["arguments that are none", '{"id":1,"op":"echo","args":[]}\n'],
    ["a line without an end", "x".repeat(70_000)],
    ["too many at once", '{"id":1,"op":"wait"}\n'.repeat(17)],
  ])("drops a peer that sends %s, and nobody else", async (_what, text) => {
    await using daemon = await listening();
    const socket = await raw(daemon.path);
    const closed = once(socket.resume(), "close");
    socket.write(text);
    await closed;
    expect(await daemon.ask("echo", { still: "there" })).toEqual({ still: "there" });
  });

  it("is for its owner and group alone, and takes the place of a dead one's only", async () => {
    await using daemon = await listening();
    expect((await lstat(daemon.path)).mode & 0o777).toBe(0o660);
    const second = new ControlSocket({ path: daemon.path, group: undefined }, recordingLogger());
    await expect(second.open()).rejects.toMatchObject({ code: "HOST_UNSUPPORTED" });
    await second.close();
    expect(await daemon.ask("echo", { a: 1 })).toEqual({ a: 1 });
    await daemon.socket.close();
    await expect(lstat(daemon.path)).rejects.toMatchObject({ code: "ENOENT" });
    await expect(daemon.ask("echo")).rejects.toMatchObject({ code: "DAEMON_UNREACHABLE", hint: /daemon/ });
    await writeFile(daemon.path, "");
    await expect(daemon.ask("echo")).rejects.toMatchObject({ code: "DAEMON_UNREACHABLE" });
  });

  it("refuses a group that there is not", async () => {
    const group = "no-such-group";
    const socket = new ControlSocket({ path: join(tmpdir(), "none.sock"), group }, recordingLogger());
    await expect(socket.open()).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  });
});
