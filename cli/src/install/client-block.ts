import { hash } from "node:crypto";
import { WkfsError } from "@wkfs/core";
import { z } from "zod";

/** All that a client needs of a server, as one block of text that can be copied. It holds the keys. */
export interface ClientBlock {
  readonly url: string;
  /** The text of a key file. */
  readonly keys: string;
  readonly tcp?: readonly number[] | undefined;
  readonly udp?: readonly number[] | undefined;
  /** Seconds. */
  readonly maxTime?: number | undefined;
  /** PEM certificates to trust in place of the system's. */
  readonly ca?: string | undefined;
}

const BEGIN = "-----BEGIN WKFS CLIENT-----";
const END = "-----END WKFS CLIENT-----";
const WIDTH = 64;

const port = z.array(z.int().min(1).max(65_535)).max(1024).optional();
const schema = z.object({
  version: z.literal(1),
  url: z.string(),
  keys: z.record(z.string(), z.string()),
  tcp: port,
  udp: port,
  maxTime: z.int().min(1).optional(),
  ca: z.string().optional(),
});

/**
 * JSON in base64 between two lines, as certificates are written, and before the last a piece of its SHA-256: what was copied by
 * halves is found out before it is used.
 */
export function formatBlock({ keys, ...rest }: ClientBlock): string {
  const json = JSON.stringify({ version: 1, ...rest, keys: JSON.parse(keys) as unknown });
  const lines = Buffer.from(json)
    .toString("base64")
    .match(new RegExp(`.{1,${WIDTH}}`, "g"))!;
  return [BEGIN, ...lines, `=${sumOf(json)}`, END, ""].join("\n");
}

/** Whether a text has a block, or the beginning of one. */
export function hasBlock(text: string): boolean {
  return text.includes(BEGIN);
}

/** Whether a text that still comes in has all of a block. */
export function isWhole(text: string): boolean {
  return text.includes(END);
}

/**
 * Reads the block in a text, whatever stands around it and before its lines, such as the `> ` of a mail. Throws `CONFIG_INVALID`
 * without quoting it; `origin` says where it comes from.
 */
export function readBlock(text: string, origin: string): ClientBlock {
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf(END, begin);
  if (end === -1) throw damaged(origin, "its last line is missing");
  const lines = text
    .slice(begin + BEGIN.length, end)
    .split("\n")
    .map((line) => line.replaceAll(/[^\w+/=]/g, ""));
  const json = Buffer.from(lines.filter((line) => !line.startsWith("=")).join(""), "base64").toString();
  if (!lines.includes(`=${sumOf(json)}`)) throw damaged(origin, "something of it is missing or changed");
  const checked = schema.safeParse(parsed(json));
  if (!checked.success) throw damaged(origin, "another version of wkfs made it");
  const { keys, version: _, ...rest } = checked.data;
  return { ...rest, keys: `${JSON.stringify(keys, null, 2)}\n` };
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

function sumOf(json: string): string {
  return hash("sha256", json).slice(0, 16);
}

function damaged(origin: string, why: string): WkfsError {
  return new WkfsError("CONFIG_INVALID", `the block in ${origin} cannot be used: ${why}`, {
    hint: "Copy all of what `wkfs client export` prints on the server, first and last line included.",
  });
}
