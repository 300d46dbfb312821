import { FakeClock, transportSuite } from "@wkfs/core/testing";
import { PREFACE } from "@wkfs/localhost-tcp";
import { describe, it } from "vitest";
import { Folder, RawServer, openTransport } from "../testing/peers.ts";

transportSuite("unix-socket", { describe, it }, async () => {
  const folder = await Folder.create();
  // Nothing but time limits goes by it.
  const clock = new FakeClock();
  const path = folder.in("daemon.sock");
  // Says its preface when it is told one, and goes at the first request.
  const broken = await RawServer.open(folder.in("broken.sock"), (socket, piece) => {
    if (piece.length === PREFACE.length) socket.write(PREFACE);
    else socket.destroy();
  });
  return {
    listener: () => openTransport(path, {}, { clock }),
    caller: () => openTransport(path, {}, { clock }),
    stranger: undefined,
    unreachable: () => openTransport(folder.in("nobody.sock")),
    brokenOff: () => openTransport(folder.in("broken.sock")),
    pass: (milliseconds) => clock.advance(milliseconds),
    async dispose() {
      await broken[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
});
