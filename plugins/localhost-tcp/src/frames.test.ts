import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PREFACE, frameBytes } from "../testing/frame-peers.ts";
import { FrameReader, FrameWriter } from "./frames.ts";

const LIMIT = 65_536;

/** The frames in these pieces, and whether they could all be taken. */
function read(pieces: readonly Uint8Array[], limit = LIMIT) {
  const reader = new FrameReader(limit);
  const frames: [number, string][] = [];
  // Each piece in memory of its own, which is overwritten as soon as it was taken.
  const taken = pieces.every((piece) => {
    const own = Buffer.from(piece);
    const ok = reader.take(own, (id, body) => frames.push([id, Buffer.from(body).toString()]));
    own.fill(0xff);
    return ok;
  });
  return { taken, frames };
}

const bodies = fc.array(fc.tuple(fc.nat({ max: 2 ** 32 - 1 }), fc.string({ unit: "grapheme", maxLength: 60 })), {
  maxLength: 8,
});

describe("FrameReader", () => {
  it("finds the same frames however they are cut", () => {
    fc.assert(
      fc.property(bodies, fc.array(fc.nat({ max: 300 })), (frames, cuts) => {
        const bytes = Buffer.concat([PREFACE, ...frames.map(([id, text]) => frameBytes(id, text))]);
        const at = [0, ...cuts.filter((cut) => cut < bytes.length).toSorted((a, b) => a - b), bytes.length];
        const pieces = at.slice(1).map((end, index) => bytes.subarray(at[index], end));
        expect(read(pieces)).toEqual({ taken: true, frames });
      }),
      { numRuns: 2000 },
    );
  });

  it("finds them byte by byte", () => {
    const bytes = Buffer.concat([PREFACE, frameBytes(7, "{}"), frameBytes(0, ""), frameBytes(2 ** 32 - 1, "ü")]);
    expect(read(Array.from(bytes, (byte) => Uint8Array.of(byte)))).toEqual({
      taken: true,
      frames: [
        [7, "{}"],
        [0, ""],
        [2 ** 32 - 1, "ü"],
      ],
    });
  });

  it("takes a body of its limit, and no longer one, however it is cut", () => {
    const exact = Buffer.concat([PREFACE, frameBytes(1, "x".repeat(100))]);
    const over = Buffer.concat([PREFACE, frameBytes(1, "x".repeat(101))]);
    for (let cut = 1; cut < exact.length; cut += 1) {
      expect(read([exact.subarray(0, cut), exact.subarray(cut)], 100).frames).toHaveLength(1);
      expect(read([over.subarray(0, cut), over.subarray(cut)], 100)).toEqual({ taken: false, frames: [] });
    }
  });

  it.each([0xff_ff_ff_ff, 0x80_00_00_00, LIMIT + 1])("refuses a length of %i at its header", (size) => {
    const header = frameBytes(1, "", size);
    expect(read([PREFACE, header]).taken).toBe(false);
    expect(read([Buffer.concat([PREFACE, header])]).taken).toBe(false);
    expect(read([PREFACE, header.subarray(0, 4), header.subarray(4)]).taken).toBe(false);
  });

  it("keeps of a frame that is cut off no more than has come", () => {
    const readers = Array.from({ length: 1000 }, () => new FrameReader(1_048_576));
    const begun = Buffer.concat([PREFACE, frameBytes(1, "{", 1_048_576)]);
    const before = process.memoryUsage().arrayBuffers;
    for (const reader of readers) expect(reader.take(begun, () => {})).toBe(true);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(10_000_000);
  });

  it("refuses another preface at its first wrong byte", () => {
    for (let wrong = 0; wrong < PREFACE.length; wrong += 1) {
      const other = Buffer.from(PREFACE);
      other[wrong] = 0x7b;
      expect(read([other.subarray(0, wrong + 1)]).taken).toBe(false);
      expect(read([PREFACE.subarray(0, wrong)]).taken).toBe(true);
    }
  });
});

describe("FrameWriter", () => {
  it("sends the preface and the frames of one turn as one piece, and nothing when there is nothing", async () => {
    const sent: Buffer[] = [];
    const writer = new FrameWriter((bytes) => sent.push(bytes));
    const texts = ["{}", "x".repeat(5000), "ü😀", ""];
    for (const [at, text] of texts.entries()) writer.add(at + 1, text);
    expect(sent).toEqual([]);
    await new Promise(setImmediate);
    expect(sent).toHaveLength(1);
    await new Promise(setImmediate);
    writer.add(9, "{}");
    writer.add(2 ** 32 - 1, "{}");
    await new Promise(setImmediate);
    expect(sent).toHaveLength(2);
    expect(read(sent).frames).toEqual([...texts.map((text, at) => [at + 1, text]), [9, "{}"], [2 ** 32 - 1, "{}"]]);
  });

  it("sends nothing more once it is closed", async () => {
    const writer = new FrameWriter(() => expect.unreachable());
    writer.add(1, "{}");
    writer.close();
    await new Promise(setImmediate);
  });
});
