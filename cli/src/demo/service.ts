// The service that wkfs protects in the demonstration, a program of its own: greets by address and repeats what it is
// told. It ends with the process that started it.
import { once } from "node:events";
import { createServer } from "node:net";

const [, , host = "", port] = process.argv;
process.on("disconnect", () => process.exit());
const server = createServer((socket) => {
  socket.on("error", () => socket.destroy());
  socket.write(`hello ${socket.remoteAddress?.replace(/^::ffff:/, "")}\n`);
  socket.pipe(socket);
});
server.listen({ host, port: Number(port) });
await once(server, "listening");
process.send?.({ ready: true });
