import type { IncomingMessage } from "node:http";
import { Busboy } from "@fastify/busboy";

/** Most bytes of a request's body. A knock has less than one thousand. */
const BODY_LIMIT = 65_536;

/**
 * Reads a body; undefined when it is larger than the limit, of which no more is then read. Rejects when the sender
 * broke off. Events cost a third of what an iterator does.
 */
export function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  if (Number(request.headers["content-length"] ?? 0) > BODY_LIMIT) return Promise.resolve(undefined);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size <= BODY_LIMIT) chunks.push(chunk);
      else {
        request.pause();
        resolve(undefined);
      }
    });
    request.on("end", () => resolve(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)));
    request.on("error", reject);
  });
}

/**
 * The form field `data`, as PHP's `$_POST` would have it: of several the last counts, and `data[]` makes
 * it a list, which is no field for us. Undefined without one, or when the body is no form. Only multipart, which
 * no client of ours sends, takes a promise.
 */
export function dataField(
  contentType: string | undefined,
  body: Buffer,
): string | undefined | Promise<string | undefined> {
  switch (contentType?.split(";", 1)[0]?.trim().toLowerCase()) {
    case "application/x-www-form-urlencoded":
      return lastData(new URLSearchParams(body.toString("latin1")));
    case "multipart/form-data":
      return multipartFields(contentType!, body).then(lastData);
    default:
      return undefined;
  }
}

function lastData(fields: Iterable<readonly [string, string]>): string | undefined {
  let data: string | undefined;
  for (const [name, value] of fields) {
    if (name === "data") data = value;
    else if (name.startsWith("data[")) data = undefined;
  }
  return data;
}

/** The text fields of a multipart body; none when it is malformed. Files are passed over, as PHP does. */
function multipartFields(contentType: string, body: Buffer): Promise<readonly [string, string][]> {
  return new Promise((resolve) => {
    const fields: [string, string][] = [];
    try {
      const parser = new Busboy({
        headers: { "content-type": contentType },
        limits: { fieldSize: BODY_LIMIT, parts: 100, headerPairs: 20 },
      });
      // A part without a name comes with none, whatever the types say.
      parser.on("field", (name: string | undefined, value) => void (name !== undefined && fields.push([name, value])));
      // A file that is cut off is an error of its stream, and one that nobody listens to would end the process.
      parser.on("file", (_name, stream) => void stream.on("error", () => resolve([])).resume());
      parser.on("error", () => resolve([]));
      parser.on("finish", () => resolve(fields));
      parser.end(body);
    } catch {
      resolve([]);
    }
  });
}
