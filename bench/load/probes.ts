// Sends a packet from each of many clients, round after round, until it is told otherwise. On the client's host.
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { answers } from "../answers.ts";
import { clientAddress } from "../stage.ts";

export interface ProbesRequest {
  readonly clients: readonly number[];
  readonly server: string;
  readonly port: number;
  /** Milliseconds since the epoch. */
  readonly from: number;
  readonly until: number;
}

/** Gives the number of rounds. */
answers<ProbesRequest>(async ({ clients, server, port, from, until }) => {
  const sockets = await Promise.all(
    clients.map(async (index) => {
      const socket = createSocket("udp4");
      await new Promise<void>((resolve) => socket.bind(0, clientAddress(index), resolve));
      socket.connect(port, server);
      await once(socket, "connect");
      return socket;
    }),
  );
  const packet = Buffer.from("?");
  let rounds = 0;
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, from - Date.now())));
  for (; Date.now() < until; rounds += 1) {
    for (const socket of sockets) socket.send(packet);
    await new Promise((resolve) => setTimeout(resolve, 4));
  }
  for (const socket of sockets) socket.close();
  return rounds;
});
