// A UDP service that answers nothing, so that no packet belongs to a flow that was let through before: it notes when the
// last one of each client came, by the clock that all processes of a host share.
import { createSocket } from "node:dgram";
import { answers } from "../answers.ts";

export type SinkRequest = { readonly port: number } | { readonly last: true };
export interface SinkReply {
  /** From process.hrtime.bigint(), in nanoseconds, by the client's address. */
  readonly last: Readonly<Record<string, string>>;
  readonly packets: number;
}

const last = new Map<string, bigint>();
let packets = 0;

answers<SinkRequest>(async (request): Promise<SinkReply | undefined> => {
  if ("last" in request) {
    const texts = Array.from(last, ([address, time]) => [address, String(time)] as const);
    return { last: Object.fromEntries(texts), packets };
  }
  const socket = createSocket("udp4");
  socket.on("message", (_, { address }) => {
    last.set(address, process.hrtime.bigint());
    packets += 1;
  });
  await new Promise<void>((resolve) => socket.bind(request.port, "0.0.0.0", resolve));
  return undefined;
});
