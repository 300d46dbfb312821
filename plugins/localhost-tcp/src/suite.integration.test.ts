import { transportSuite } from "@wkfs/core/testing";
import { describe, it } from "vitest";
import { RawDaemon, freePort, openTransport } from "../testing/peers.ts";

transportSuite("localhost-tcp", { describe, it }, async () => {
  const listener = await openTransport();
  const broken = await RawDaemon.open((socket) => socket.destroy());
  return {
    listener: async () => listener,
    caller: () => openTransport({ port: listener.port }),
    stranger: () => openTransport({ port: listener.port }, { secret: "another secret, long enough" }),
    unreachable: async () => openTransport({ port: await freePort() }),
    brokenOff: () => openTransport({ port: broken.port }),
    dispose: async () => {
      await listener.close();
      await broken[Symbol.asyncDispose]();
    },
  };
});
