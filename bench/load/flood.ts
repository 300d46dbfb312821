// Sends one UDP packet after the other from a client that has no lease, and tells what one costs. On the client's host.
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { answers } from "../answers.ts";

export interface FloodRequest {
  readonly from: string;
  readonly server: string;
  readonly port: number;
  readonly packets: number;
}

/** Packets that are sent in one turn of the event loop: more would wait in a queue of this process. */
const TURN = 500;

/**
 * Microseconds of the system for one packet. Over a virtual cable the sender's system call takes it all the way through the
 * other side's packet filter.
 */
answers<FloodRequest>(async ({ from, server, port, packets }) => {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, from, resolve));
  socket.connect(port, server);
  await once(socket, "connect");
  const packet = Buffer.from("?");
  const before = process.cpuUsage();
  for (let sent = 0; sent < packets; sent += TURN) {
    for (let index = 0; index < TURN; index += 1) socket.send(packet);
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { system } = process.cpuUsage(before);
  socket.close();
  return system / packets;
});
