import type { WriteStream } from "node:tty";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Waiting } from "./waiting.ts";

const CLEAR = "\r\u001B[K";

/** What a terminal, or what is none, is sent. */
function output(isTTY: boolean, columns = 80) {
  const sent: string[] = [];
  const stream = { isTTY, columns, write: (text: string) => sent.push(text) > 0 } as unknown as WriteStream;
  return { sent, stream };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("who waits at a terminal", () => {
  it("is told after a second for what, is told anew when that changes, and nothing stays on the line", () => {
    const { sent, stream } = output(true);
    {
      using waiting = new Waiting(stream);
      waiting.for(["plugins"]);
      waiting.for(["clock", "mail"]);
      vi.advanceTimersByTime(999);
      expect(sent).toEqual([]);
      vi.advanceTimersByTime(1);
      waiting.for(["mail"]);
      waiting.for([]);
    }
    expect(sent).toEqual([`${CLEAR}waiting for clock, mail …`, `${CLEAR}waiting for mail …`, CLEAR, CLEAR]);
    vi.advanceTimersByTime(10_000);
    expect(sent).toHaveLength(4);
  });

  it("is told nothing when it is over before, and no more than fits on the line", () => {
    const { sent, stream } = output(true, 20);
    new Waiting(stream)[Symbol.dispose]();
    vi.advanceTimersByTime(10_000);
    expect(sent).toEqual([]);
    using waiting = new Waiting(stream);
    waiting.for(["one", "two", "three", "four"]);
    vi.advanceTimersByTime(1000);
    expect(sent).toEqual([`${CLEAR}waiting for one, two`]);
  });

  it("is nobody where there is no terminal", () => {
    const { sent, stream } = output(false);
    using waiting = new Waiting(stream);
    waiting.for(["mail"]);
    vi.advanceTimersByTime(10_000);
    expect(sent).toEqual([]);
  });
});
