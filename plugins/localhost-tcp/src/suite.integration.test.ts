import { FakeClock, transportSuite } from "@wkfs/core/testing";
import { describe, it } from "vitest";
import { RawDaemon, freePort, openTransport } from "../testing/peers.ts";

transportSuite("localhost-tcp", { describe, it }, async () => {
  let port = 0;
  // Nothing but time limits goes by it.
  const clock = new FakeClock();
  const broken = await RawDaemon.open((socket) => socket.destroy());
  return {
    listener: async () => {
      const listener = await openTransport({ port }, { clock });
      const { listen } = listener;
      // The kernel chooses for the first; the next one follows it in its place.
      listener.listen = async (handler) => {
        await listen(handler);
        ({ port } = listener);
      };
      return listener;
    },
    caller: () => openTransport({ port }, { clock }),
    stranger: () => openTransport({ port }, { secret: "another secret, long enough" }),
    unreachable: async () => openTransport({ port: await freePort() }),
    brokenOff: () => openTransport({ port: broken.port }),
    pass: (milliseconds) => clock.advance(milliseconds),
    dispose: () => broken[Symbol.asyncDispose](),
  };
});
