import { stat } from "node:fs/promises";
import { WkfsError, messageOf } from "@wkfs/core";
import { list } from "tar";

/** Bytes of a tarball, and of the package.json in it. */
const LARGEST = 100 << 20;
const LARGEST_DESCRIPTION = 1 << 20;

/**
 * The package.json of a tarball, read by the library that npm itself unpacks with: what is checked is what is installed.
 * Throws `PLUGIN_INVALID`.
 */
export async function descriptionIn(tarball: string, what: string): Promise<unknown> {
  const found: Buffer[][] = [];
  try {
    if ((await stat(tarball)).size > LARGEST) throw new Error(`it has more than ${LARGEST} bytes`);
    await list({
      file: tarball,
      strict: true,
      onReadEntry(entry) {
        if (!/^[^/]+\/package\.json$/.test(entry.path)) return void entry.resume();
        if (entry.size > LARGEST_DESCRIPTION)
          throw new Error(`its package.json has more than ${LARGEST_DESCRIPTION} bytes`);
        const chunks: Buffer[] = [];
        found.push(chunks);
        entry.on("data", (chunk) => chunks.push(chunk));
      },
    });
    const [chunks, second] = found;
    if (chunks === undefined || second !== undefined) throw new Error(`it has ${chunks ? "two" : "no"} package.json`);
    return JSON.parse(Buffer.concat(chunks).toString());
  } catch (error) {
    throw new WkfsError("PLUGIN_INVALID", `${what} is no package: ${messageOf(error)}`, {
      hint: "Give a tarball as `npm pack` writes it.",
      cause: error,
    });
  }
}
