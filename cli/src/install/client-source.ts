import { WkfsError } from "@wkfs/core";
import { type ClientBlock, hasBlock, readBlock } from "./client-block.ts";
import { readPhpConfig } from "./php-config.ts";

/** Largest text that is read from standard input, in bytes. */
const LIMIT = 65_536;

/** What the block of a server says, or the `config.dat` of a PHP client. Throws `CONFIG_INVALID`, without quoting the text. */
export function readSource(text: string, origin: string): ClientBlock {
  if (hasBlock(text)) return readBlock(text, origin);
  if (text.trimStart().startsWith("{")) return readPhpConfig(text, origin);
  throw new WkfsError(
    "CONFIG_INVALID",
    `${origin} has neither the block of a server nor the config.dat of a PHP client`,
    {
      hint: "`wkfs client export` prints the block on the server.",
    },
  );
}

/** All of standard input. Throws `CONFIG_INVALID` when it is too much to be a block. */
export async function readInput(input: AsyncIterable<Buffer>): Promise<string> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of input) {
    size += piece.length;
    if (size > LIMIT) {
      throw new WkfsError("CONFIG_INVALID", `standard input has more than ${LIMIT} bytes`, {
        hint: "Give it what `wkfs client export` prints, and nothing else.",
      });
    }
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString();
}
