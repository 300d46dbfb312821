import { stat } from "node:fs/promises";
import { WkfsError, messageOf } from "@wkfs/core";
import { list } from "tar";

/** Bytes of a tarball, and of the package.json in it. */
const LARGEST = 100 << 20;
const LARGEST_DESCRIPTION = 1 << 20;

export interface Content {
  /** What its package.json says. */
  readonly description: unknown;
  /** Of all files, relative to the package's folder. */
  readonly files: ReadonlySet<string>;
}

/**
 * What is in a tarball, read by the library that npm itself unpacks with: what is checked is what is installed.
 * Throws `PLUGIN_INVALID`.
 */
export async function contentOf(tarball: string, what: string): Promise<Content> {
  const files = new Set<string>();
  const found: Buffer[][] = [];
  let tooLarge = false;
  try {
    if ((await stat(tarball)).size > LARGEST) throw new Error(`it has more than ${LARGEST} bytes`);
    await list({
      file: tarball,
      strict: true,
      onReadEntry(entry) {
        // npm takes the first folder off every path, whatever it is called.
        files.add(entry.path.replace(/^[^/]+\//, ""));
        if (!/^[^/]+\/package\.json$/.test(entry.path)) return void entry.resume();
        // Thrown in here, an error would end the process.
        if (entry.size > LARGEST_DESCRIPTION) {
          tooLarge = true;
          return void entry.resume();
        }
        const chunks: Buffer[] = [];
        found.push(chunks);
        entry.on("data", (chunk) => chunks.push(chunk));
      },
    });
    if (tooLarge) throw new Error(`its package.json has more than ${LARGEST_DESCRIPTION} bytes`);
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
