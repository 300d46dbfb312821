// A UDP service that sends back what came.
import { createSocket } from "node:dgram";
import { answers } from "../answers.ts";

answers<{ readonly port: number }>(async ({ port }) => {
  const socket = createSocket("udp4");
  socket.on("message", (text, { address, port: from }) => socket.send(text, from, address));
  await new Promise<void>((resolve) => socket.bind(port, "0.0.0.0", resolve));
  return undefined;
});
