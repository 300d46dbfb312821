import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MessageReader, type Progress } from "./framing.ts";

const LIMIT = 65_536;

/** What the PHP program does: decode all that came so far after each read. */
function naive(pieces: readonly Uint8Array[]): number {
  return pieces.findIndex((_, at) => {
    try {
      const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(
        Buffer.concat(pieces.slice(0, at + 1)),
      );
      const value: unknown = JSON.parse(text);
      return typeof value === "object" && value !== null;
    } catch {
      return false;
    }
  });
}

/** The index of the piece that completes the message, or -1. */
function read(pieces: readonly Uint8Array[]): number {
  const reader = new MessageReader(LIMIT);
  for (const [at, piece] of pieces.entries()) {
    const progress = reader.take(piece);
    if (progress !== "more") return progress === "whole" ? at : -1;
  }
  return -1;
}

/** How the last of these pieces left the reader. */
function progressOf(...pieces: (string | Uint8Array)[]): Progress {
  const reader = new MessageReader(LIMIT);
  return pieces.map((piece) => reader.take(Buffer.from(piece))).at(-1)!;
}

const bracketSoup = fc.string({ unit: fc.constantFrom(...'{}[]",:\\ \n1ü') });
const spaced = fc.tuple(fc.constantFrom("", " ", "\n"), fc.json(), fc.constantFrom("", " \n", "}", "{}"));

describe("MessageReader", () => {
  it("finds the same message, at the same piece, as decoding everything after each", () => {
    const text = fc.oneof(
      bracketSoup,
      spaced.map((parts) => parts.join("")),
      fc.json(),
    );
    fc.assert(
      fc.property(text, fc.array(fc.nat({ max: 40 })), (whole, cuts) => {
        const bytes = Buffer.from(whole);
        const at = [0, ...cuts.filter((cut) => cut < bytes.length).toSorted((a, b) => a - b), bytes.length];
        const pieces = at.slice(1).map((end, index) => bytes.subarray(at[index], end));
        expect(read(pieces)).toBe(naive(pieces));
      }),
      { numRuns: 3000 },
    );
  });

  it("gives the message", () => {
    const reader = new MessageReader(LIMIT);
    expect(reader.take(Buffer.from(' {"a":"}'))).toBe("more");
    expect(reader.take(Buffer.from('\\"ü"} \n'))).toBe("whole");
    expect(reader.message).toEqual({ a: '}"ü' });
  });

  it("knows at once what can never become a message", () => {
    for (const text of ["1", '"a"', "null", "x", "}", "]", "{]", "{}{}", "{} x", "[1,]", "\uFEFF{}"]) {
      expect({ text, progress: progressOf(text) }).toEqual({ text, progress: "never" });
    }
    expect(progressOf(Buffer.from([0x7b, 0x22, 0x61, 0x22, 0x3a, 0x22, 0xff, 0x22, 0x7d]))).toBe("never");
  });

  it("stops at the nesting at which the PHP program stops", () => {
    expect(progressOf("[".repeat(512))).toBe("more");
    expect(progressOf("[".repeat(513))).toBe("never");
    expect(progressOf("[".repeat(512) + "]".repeat(512))).toBe("whole");
  });

  it("holds no more than its limit", () => {
    const exact = `{"a":"${"x".repeat(92)}"}`;
    expect(new MessageReader(100).take(Buffer.from(exact))).toBe("whole");
    expect(new MessageReader(99).take(Buffer.from(exact))).toBe("never");
    const reader = new MessageReader(100);
    expect(reader.take(Buffer.from(exact.slice(0, 99)))).toBe("more");
    expect(reader.take(Buffer.from("xx"))).toBe("never");
    expect(reader.length).toBe(99);
  });

  it("looks at each byte once: a message byte by byte costs what it costs in one piece", () => {
    const bytes = Buffer.from(`{"a":"${"x".repeat(LIMIT - 8)}"}`);
    const started = performance.now();
    const reader = new MessageReader(LIMIT);
    let last: Progress = "more";
    for (const byte of bytes) last = reader.take(Uint8Array.of(byte));
    expect(last).toBe("whole");
    // Decoding everything after each byte takes some 2 s of it; this takes some 10 ms.
    expect(performance.now() - started).toBeLessThan(500);
  });
});
