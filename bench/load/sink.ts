// A UDP service that answers nothing, so that no packet belongs to a flow that was let through before: it notes when the
// last one came, by the clock that all processes of a host share.
import { createSocket } from "node:dgram";
import { answers } from "../answers.ts";

export type SinkRequest = { readonly port: number } | { readonly last: true };
export interface SinkReply {
  /** From process.hrtime.bigint(), in nanoseconds. */
  readonly last: string;
  readonly packets: number;
}

let last = 0n;
let packets = 0;

answers<SinkRequest>(async (request): Promise<SinkReply | undefined> => {
  if ("last" in request) return { last: String(last), packets };
  const socket = createSocket("udp4");
  socket.on("message", () => {
    last = process.hrtime.bigint();
    packets += 1;
  });
  await new Promise<void>((resolve) => socket.bind(request.port, "0.0.0.0", resolve));
  return undefined;
});
