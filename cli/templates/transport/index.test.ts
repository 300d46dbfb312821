import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { testContext, transportSuite } from "@wkfs/core/testing";
import plugin from "./index.ts";

transportSuite(plugin.name, { describe, it }, async () => {
  const dir = await mkdtemp(join(tmpdir(), "wkfs-plugin-"));
  const make = (name: string, secret = "the secret of both") =>
    plugin.create({ path: join(dir, name), secret: "" }, testContext({ readSecret: async () => secret }));
  const broken = createServer((socket) => socket.once("data", () => socket.destroy()));
  return {
    listener: async () => make("socket"),
    caller: async () => make("socket"),
    stranger: async () => make("socket", "another secret"),
    unreachable: async () => make("nobody"),
    async brokenOff() {
      await new Promise<void>((resolve) => broken.listen(join(dir, "broken"), resolve));
      return make("broken");
    },
    async dispose() {
      if (broken.listening) await new Promise((resolve) => broken.close(resolve));
      await rm(dir, { recursive: true });
    },
  };
});
