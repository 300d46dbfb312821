import { WkfsError } from "@wkfs/core";
import type { ClientEvent, KnockResult } from "@wkfs/core/client";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Countdown } from "./countdown.ts";

const START = 1_800_000_000_000;
const tcp = (number: number, opened: boolean) => ({ port: { protocol: "tcp", number } as const, opened });
const result: KnockResult = {
  ip: "192.0.2.7",
  ports: [tcp(22, true), tcp(23, false)],
  // The server's clock is another: it is not what counts here.
  expires: 7,
  lasts: 90,
  server: { tcp: [22], udp: [], maxTime: 90, ip: "192.0.2.7" },
};

/** A terminal as one sees it: lines, of which the last is written over. */
class Screen {
  columns = 80;
  text = "";
  write(piece: string): boolean {
    const lines = (this.text + piece).split("\n");
    this.text = lines.map((line) => line.split("\r\u001B[K").at(-1)).join("\n");
    return true;
  }
}

let screen: Screen;
let countdown: Countdown;
beforeEach(() => {
  vi.useFakeTimers({ now: START });
  screen = new Screen();
  countdown = new Countdown(screen, ({ error }) => screen.write(`${(error as Error).message}\n`));
});
afterEach(() => {
  countdown.stop();
  vi.useRealTimers();
});
const tell = (event: ClientEvent) => countdown.tell(event);

it("shows in one line what is open and how long still, each second anew", () => {
  tell({ type: "opened", time: START, result, renewIn: 30_000 });
  expect(screen.text).toBe("tcp/22 open for 192.0.2.7, 1m 30s left, not tcp/23, renewed in 30 s");
  vi.advanceTimersByTime(25_000);
  expect(screen.text).toBe("tcp/22 open for 192.0.2.7, 1m 05s left, not tcp/23, renewed in 5.0 s");
  tell({ type: "renewed", time: START + 25_000, result, renewIn: 30_000 });
  expect(screen.text).toBe("tcp/22 open for 192.0.2.7, 1m 30s left, not tcp/23, renewed in 30 s");
  screen.columns = 20;
  vi.advanceTimersByTime(1000);
  expect(screen.text).toBe("tcp/22 open for 192");
});

it("keeps what failed above it, and says when nothing is open any more", () => {
  tell({ type: "opened", time: START, result, renewIn: 30_000 });
  vi.advanceTimersByTime(85_000);
  const error = new WkfsError("SERVER_UNREACHABLE", "no answer");
  tell({ type: "failed", time: START + 85_000, error, retryIn: 8000 });
  expect(screen.text).toBe("no answer\ntcp/22 open for 192.0.2.7, 5s left, not tcp/23, next try in 8.0 s");
  vi.advanceTimersByTime(5000);
  expect(screen.text).toBe("no answer\nnothing is open, next try in 3.0 s");
  countdown.stop();
  expect(screen.text).toMatch(/try in 3\.0 s\n$/);
  expect(vi.getTimerCount()).toBe(0);
});
