// What wkfs is compared with over HTTP: a server on bare node:http that reads the body and answers as a gateway would.
//
//   plain   answers a fixed body of a fixed status, and looks at nothing
//   crypto  opens the packet and seals an answer, with the cryptography of protocol v1 as core has it
//   naive   the same, and spawns one `iptables -I` for each request to open
import { execFile } from "node:child_process";
import { createServer } from "node:http";
import { promisify } from "node:util";
import { decodeFormField } from "../../core/src/protocol/v1.ts";
import { answers } from "../answers.ts";
import { readCodec } from "../load/packets.ts";

export interface BareHttpRequest {
  readonly mode: "plain" | "crypto" | "naive";
  readonly port: number;
  readonly keys: string;
  readonly status: number;
  /** Bytes of a plain answer. */
  readonly size: number;
}

interface Payload {
  readonly api: string;
  readonly ip: string;
  readonly ports: readonly { readonly proto: string; readonly num: number }[];
}

const run = promisify(execFile);

async function insert({ ip, ports }: Payload): Promise<void> {
  for (const { proto, num } of ports) {
    const rule = ["-s", ip, "-p", proto.toLowerCase(), "--dport", String(num), "-j", "ACCEPT"];
    await run("iptables", ["-I", "INPUT", "1", ...rule]);
  }
}

answers<BareHttpRequest>(async ({ mode, port, keys, status, size }) => {
  const codec = readCodec(keys);
  const fixed = Buffer.alloc(size, 120);
  const answerTo = async (body: Buffer): Promise<Uint8Array> => {
    if (mode === "plain") return fixed;
    const payload = codec.open(decodeFormField(body.toString("latin1").slice("data=".length)))!;
    const request = JSON.parse(Buffer.from(payload).toString()) as Payload;
    if (mode === "naive" && request.api === "openports") await insert(request);
    return codec.seal(Buffer.from(JSON.stringify({ success: true, expires: Math.floor(Date.now() / 1000) })));
  };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      void answerTo(Buffer.concat(chunks)).then(
        (answer) => {
          response.writeHead(status, { "Content-Type": "application/octet-stream", "Content-Length": answer.length });
          response.end(answer);
        },
        () => response.destroy(),
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(port, "0.0.0.0", resolve));
  return undefined;
});
