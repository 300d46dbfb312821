import { readFileSync, readdirSync } from "node:fs";
import { Agent, request } from "node:http";
import { FakeClock } from "@wkfs/core/testing";
import { describe, expect, it, vi } from "vitest";
import { TestGateway, freshKeys, seconds } from "./support/gateway.ts";

const open = (unique: number) => ({
  api: "openports",
  ip: "127.0.0.1",
  ports: [{ proto: "TCP", num: 22 }],
  time: 60,
  ver: 1,
  ts: seconds(),
  unique,
});

/** The processes that serve besides this one. */
function workers(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const parent = /^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
        return (
          Number(parent) === process.pid && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("gateway/worker")
        );
      } catch {
        return false; // It ended while we looked.
      }
    });
}

/** Posts on a connection of its own, so that the kernel chooses a process anew. */
function post(gateway: TestGateway, payload: unknown): Promise<{ status: number | undefined; payload: string }> {
  const body = `data=${gateway.form(payload)}`;
  const headers = { "content-type": "application/x-www-form-urlencoded", "content-length": body.length };
  return new Promise((resolve, reject) => {
    const sent = request(
      gateway.url,
      { method: "POST", headers, agent: new Agent({ keepAlive: false }) },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () => {
          const opened = gateway.codec.open(Buffer.concat(chunks)) ?? Buffer.alloc(0);
          resolve({ status: response.statusCode, payload: Buffer.from(opened).toString() });
        });
      },
    );
    sent.on("error", reject);
    sent.end(body);
  });
}

/** CPU time of a process in clock ticks. */
const ticks = (pid: number): number =>
  readFileSync(`/proc/${pid}/stat`, "utf8")
    .split(" ")
    .slice(13, 15)
    .map(Number)
    .reduce((a, b) => a + b);

describe("several workers", () => {
  it("share the requests, and one memory of repeats", async () => {
    await using gateway = await TestGateway.start({ workers: 3 });
    expect(workers()).toHaveLength(2);
    let asked = 0;
    await gateway.daemon(async () => `{"success":true,"expires":${(asked += 1)}}`);
    // Of 64 connections each process has its share, but for one case in 10^11.
    const answers = await Promise.all(Array.from({ length: 64 }, () => post(gateway, open(0))));
    expect(new Set(answers.map(({ payload }) => payload))).toEqual(new Set(['{"success":true,"expires":1}']));
    expect(asked).toBe(1);
    const before = workers().map(ticks);
    for (let round = 0; round < 30; round += 1)
      await Promise.all(Array.from({ length: 16 }, () => post(gateway, { api: "getinfo", ver: 1, ts: seconds() })));
    expect(workers().map((pid, index) => ticks(pid) - before[index]!)).toSatisfy((all: number[]) =>
      all.every((used) => used > 0),
    );
  });

  it("refuse what this process would", async () => {
    await using gateway = await TestGateway.start({ workers: 2 });
    const answers = await Promise.all(
      Array.from({ length: 32 }, (_, index) => post(gateway, { ...open(index), ts: seconds() - 1 })),
    );
    expect(answers.every(({ status }) => status === 403)).toBe(true);
  });

  it("are replaced when they die, and end with the gateway", async () => {
    const clock = new FakeClock(seconds() * 1000);
    const gateway = await TestGateway.start({ workers: 2 }, freshKeys(), undefined, clock);
    await gateway.daemon('{"success":true,"expires":1}');
    const [first] = workers();
    process.kill(first!, "SIGKILL");
    await vi.waitFor(() =>
      expect(gateway.log.map(({ message }) => message)).toContainEqual(expect.stringContaining("another takes")),
    );
    expect(await post(gateway, open(1))).toMatchObject({ status: 200 });
    await clock.advance(1000);
    await vi.waitFor(() => expect(workers()).toHaveLength(1));
    expect(workers()).not.toEqual([first]);
    await gateway[Symbol.asyncDispose]();
    expect(workers()).toEqual([]);
  });
});
