import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";
import { notifierSuite, testContext } from "@wkfs/core/testing";
import plugin from "./index.ts";

notifierSuite(plugin.name, { describe, it }, async () => {
  let received = 0;
  let reached = () => {};
  const hook = createServer((request, response) => {
    request.resume().on("end", () => {
      if (request.url === "/silent") return reached();
      received += request.url === "/" ? 1 : 0;
      response.writeHead(request.url === "/" ? 200 : 404).end();
    });
  }).listen(0, "127.0.0.1");
  await once(hook, "listening");
  const { port } = hook.address() as AddressInfo;
  const at = async (path: string, of = port) => plugin.create({ url: `http://127.0.0.1:${of}${path}` }, testContext());
  return {
    make: () => at("/"),
    received: () => received,
    unreachable: () => at("/", 1),
    silent: (heard) => ((reached = heard), at("/silent")),
    rejecting: () => at("/refused"),
    async [Symbol.asyncDispose]() {
      hook.closeAllConnections();
      await new Promise((resolve) => hook.close(resolve));
    },
  };
});
