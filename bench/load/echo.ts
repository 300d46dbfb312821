// A UDP service that sends back when a packet came, by the clock that all processes of a host share.
import { createSocket } from "node:dgram";
import { answers } from "../answers.ts";

answers<{ readonly port: number }>(async ({ port }) => {
  const socket = createSocket("udp4");
  socket.on("message", (_, { address, port: from }) => {
    socket.send(process.hrtime.bigint().toString(), from, address);
  });
  await new Promise<void>((resolve) => socket.bind(port, "0.0.0.0", resolve));
  return undefined;
});
