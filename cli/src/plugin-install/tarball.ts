import { stat } from "node:fs/promises";
import { WkfsError, messageOf } from "@wkfs/core";
import { list } from "tar";

/** Bytes of a tarball, and of the package.json in it. */
const LARGEST = 100 << 20;
const LARGEST_DESCRIPTION = 1 << 20;
/** What tar calls plain files. */
const FILES: ReadonlySet<string> = new Set(["File", "OldFile", "ContiguousFile"]);

export interface Content {
  /** What its package.json says. */
  readonly description: unknown;
  /** Of all plain files, relative to the package's folder. npm unpacks no links. */
  readonly files: ReadonlySet<string>;
}

/**
 * What is in a tarball, read by the library that npm itself unpacks with: what is checked is what is installed. A path that
 * can be written in another way, as `package//package.json`, is refused: unpacked, it would take the place of what was checked.
 * Throws `PLUGIN_INVALID`.
 */
export async function contentOf(tarball: string, what: string): Promise<Content> {
  const files = new Set<string>();
  const found: Buffer[][] = [];
  // Thrown while an entry is read, an error would end the process.
  let fault: string | undefined;
  try {
    if ((await stat(tarball)).size > LARGEST) throw new Error(`it has more than ${LARGEST} bytes`);
    await list({
      file: tarball,
      strict: true,
      onReadEntry(entry) {
        if (!isPlain(entry.path)) fault ??= `it has the path ${JSON.stringify(entry.path.slice(0, 200))}`;
        // npm takes the first folder off every path, whatever it is called.
        if (FILES.has(entry.type)) files.add(entry.path.replace(/^[^/]+\//, ""));
        if (!/^[^/]+\/package\.json$/.test(entry.path)) return void entry.resume();
        if (entry.size > LARGEST_DESCRIPTION) {
          fault ??= `its package.json has more than ${LARGEST_DESCRIPTION} bytes`;
          return void entry.resume();
        }
        const chunks: Buffer[] = [];
        found.push(chunks);
        entry.on("data", (chunk) => chunks.push(chunk));
      },
    });
    if (fault !== undefined) throw new Error(fault);
    const [chunks, second] = found;
    if (chunks === undefined || second !== undefined) throw new Error(`it has ${chunks ? "two" : "no"} package.json`);
    return { description: JSON.parse(Buffer.concat(chunks).toString()), files };
  } catch (error) {
    throw new WkfsError("PLUGIN_INVALID", `${what} is no package: ${messageOf(error)}`, {
      hint: "Give a tarball as `npm pack` writes it.",
      cause: error,
    });
  }
}

function isPlain(path: string): boolean {
  return path
    .replace(/\/$/, "")
    .split(/[/\\]/)
    .every((name) => !["", ".", ".."].includes(name));
}
