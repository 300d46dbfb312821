import { readFile } from "node:fs/promises";
import type { RequestOptions } from "node:https";
import { WkfsError, messageOf } from "../model/errors.ts";

/** Largest answer in bytes. */
const LIMIT = 65_536;
/** Milliseconds for a whole exchange: the server's own limit for its daemon is 60 s. */
const TIMEOUT = 70_000;

/** One POST of a form. Resolves with status and body; redirects are not followed. Throws `SERVER_UNREACHABLE`. */
export type Post = (
  form: string,
  signal?: AbortSignal,
) => Promise<{ readonly status: number; readonly body: Uint8Array }>;

/** `ca` is a file of PEM certificates to trust in place of the system's. Throws `CONFIG_INVALID` when it cannot be read. */
export async function createPost(
  url: string,
  ca: string | undefined,
  headers: Readonly<Record<string, string>> = {},
): Promise<Post> {
  const certificates =
    ca === undefined ? undefined : await readFile(ca).catch((error: unknown) => unreadable(ca, error));
  // An `import` of node:http reads all that it exports, and with that loads undici: as long as a knock takes.
  const { request: send } = process.getBuiltinModule(url.startsWith("https:") ? "node:https" : "node:http");
  return (form, signal) =>
    new Promise((resolve, reject) => {
      const fail = (error: unknown): void => reject(unreachable(url, error));
      const options: RequestOptions = {
        method: "POST",
        // A knock is rare and small: no connection is kept for the next one.
        agent: false,
        headers: {
          ...headers,
          "Content-Type": "application/x-www-form-urlencoded",
          "Content-Length": Buffer.byteLength(form),
        },
        signal: AbortSignal.any([AbortSignal.timeout(TIMEOUT), ...(signal ? [signal] : [])]),
        ...(certificates && { ca: certificates }),
      };
      const request = send(url, options, (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on("data", (chunk: Buffer) => {
          size += chunk.length;
          if (size > LIMIT) request.destroy(new Error(`the answer is larger than ${LIMIT} bytes`));
          else chunks.push(chunk);
        });
        response.on("error", fail);
        response.on("end", () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) }));
      });
      request.on("error", fail);
      request.end(form);
    });
}

function unreadable(ca: string, error: unknown): never {
  throw new WkfsError("CONFIG_INVALID", `cannot read the certificates ${ca}: ${messageOf(error)}`, {
    hint: "Name a file of PEM certificates with `ca`, or leave it out to trust those of the system.",
    cause: error,
  });
}

function unreachable(url: string, error: unknown): WkfsError {
  const { host } = new URL(url);
  return new WkfsError("SERVER_UNREACHABLE", `no answer from ${host}: ${messageOf(error) || "the connection failed"}`, {
    hint: "Check the URL, the name's address, and that the gateway and the web server in front of it run.",
    cause: error,
  });
}
