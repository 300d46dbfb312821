// Runs on a test host and tries its network as it is told: one JSON command a line on standard input, one JSON
// answer a line on standard output. Plain JavaScript, because it is started by itself.
import { createSocket } from "node:dgram";
import { createConnection, createServer } from "node:net";
import { createInterface } from "node:readline";

const kept = new Map();

/** Whether a TCP connection to there is made within `timeout` ms and says something. */
function connect({ host, port, from, timeout = 400 }) {
  return new Promise((resolve) => {
    const socket = createConnection({ host, port, ...(from && { localAddress: from }) });
    const done = (result) => {
      clearTimeout(timer);
      resolve({ result, socket });
    };
    const timer = setTimeout(() => done("silent"), timeout);
    socket.once("data", () => done("open"));
    socket.on("error", (error) => done(error.code));
  });
}

const commands = {
  async tcp(target) {
    const { result, socket } = await connect(target);
    socket.destroy();
    return result;
  },
  async udp({ host, port, from, timeout = 400 }) {
    const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
    try {
      if (from) await new Promise((resolve) => socket.bind(0, from, resolve));
      return await new Promise((resolve) => {
        setTimeout(() => resolve("silent"), timeout);
        socket.once("message", () => resolve("open"));
        socket.once("error", (error) => resolve(error.code));
        socket.send("ping", port, host);
      });
    } finally {
      socket.close();
    }
  },
  /** Makes a connection and keeps it under a name. */
  async keep({ name, ...target }) {
    const { result, socket } = await connect(target);
    kept.set(name, socket);
    return result;
  },
  /** Whether a kept connection still carries a line there and back. */
  async still({ name, timeout = 1000 }) {
    const socket = kept.get(name);
    return await new Promise((resolve) => {
      setTimeout(() => resolve("silent"), timeout);
      socket.once("data", () => resolve("open"));
      socket.write("ping\n");
    });
  },
  /** Connects anew every few milliseconds (what is dropped is silent for a second, until TCP tries again) until `until` (ms since the epoch); gives when it went and when not. */
  async watch({ until, every = 10, ...target }) {
    const tries = [];
    while (Date.now() < until) {
      const at = Date.now();
      tries.push(
        connect({ ...target, timeout: 600 }).then(({ result, socket }) => {
          socket.destroy();
          return { at, open: result === "open" };
        }),
      );
      await new Promise((resolve) => setTimeout(resolve, every));
    }
    return await Promise.all(tries);
  },
  /** Services that greet and echo. */
  async serve({ tcp = [], udp = [] }) {
    for (const port of tcp) {
      const server = createServer((socket) => {
        socket.on("error", () => {});
        socket.write("hello\n");
        socket.pipe(socket);
      });
      await new Promise((resolve) => server.listen(port, "::", resolve));
    }
    for (const port of udp) {
      const socket = createSocket({ type: "udp6", ipv6Only: false });
      socket.on("message", (message, peer) => socket.send(message, peer.port, peer.address));
      await new Promise((resolve) => socket.bind(port, "::", resolve));
    }
    return "serving";
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, command, ...rest } = JSON.parse(line);
  void commands[command](rest).then(
    (answer) => process.stdout.write(`${JSON.stringify({ id, answer })}\n`),
    (error) => process.stdout.write(`${JSON.stringify({ id, answer: String(error) })}\n`),
  );
}
process.exit(0);
