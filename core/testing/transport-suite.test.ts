import { describe, it } from "vitest";
import { FakeClock } from "./fake-clock.ts";
import { MemoryLink } from "./memory-transport.ts";
import { transportSuite } from "./transport-suite.ts";

transportSuite("the transport in memory", { describe, it }, async () => {
  const clock = new FakeClock();
  const link = new MemoryLink(clock);
  const broken = new MemoryLink();
  broken.broken = true;
  return {
    listener: async () => link.transport(),
    caller: async () => link.transport(),
    stranger: async () => link.transport("another secret"),
    pass: (milliseconds) => clock.advance(milliseconds),
    kill: async () => link.kill(),
    unreachable: async () => new MemoryLink().transport(),
    brokenOff: async () => {
      await broken.transport().listen(async () => "{}");
      return broken.transport();
    },
  };
});
