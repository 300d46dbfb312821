// A gateway in a web server of your own: one path answers knocks, everything else is yours.
// Run it: node examples/mounted-gateway.ts
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createClient } from "@wkfs/core/client";
import { checkClientConfig, checkServerConfig } from "@wkfs/core/config";
import { Services, createGateway } from "@wkfs/core/gateway";
import { ContainerModule } from "inversify";
import { OneProcess, freshKeys } from "./one-process.ts";

await using secrets = await freshKeys();
const { keys } = secrets;
const path = "/hooks/8f3c0c5e";
const config = await checkServerConfig({
  protect: { tcp: [22], maxTime: "10m" },
  // A proxy that runs on this host says whose request it is.
  gateway: { path, keys, trustedProxies: ["127.0.0.1/32"] },
});
const mine = new ContainerModule(({ bind }) => {
  bind(Services.Transport).toConstantValue(new OneProcess());
});
await using gateway = await createGateway({ config, plugins: [], modules: [mine], listen: false });
await gateway.start();

const server = createServer((request, response) => {
  // As middleware it would be: app.use(gateway.handler)
  gateway.handler(request, response, () => response.end("a page of my own\n"));
});
await once(server.listen(0, "127.0.0.1"), "listening");
const { port } = server.address() as AddressInfo;
const forwarded = createServer((request, response) => {
  request.headers["x-forwarded-for"] = "192.0.2.7";
  server.emit("request", request, response);
});
await once(forwarded.listen(0, "127.0.0.1"), "listening");
const proxy = forwarded.address() as AddressInfo;

process.stdout.write(await (await fetch(`http://127.0.0.1:${port}/`)).text());
const client = await createClient({
  config: await checkClientConfig({ url: `http://127.0.0.1:${proxy.port}${path}`, keys }),
});
const { ip, tcp, maxTime } = await client.info();
process.stdout.write(`tcp ${tcp.join()} for ${ip}, at most ${maxTime} s\n`);
for (const one of [server, forwarded]) one.close();
