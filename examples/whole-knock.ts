// A whole knock in one process: daemon, gateway and client, on the firewall that only prints what it would write.
// Run it: node examples/whole-knock.ts
import { once } from "node:events";
import { formatPort } from "@wkfs/core";
import { createClient } from "@wkfs/core/client";
import { checkClientConfig, checkServerConfig } from "@wkfs/core/config";
import { Services, createDaemon } from "@wkfs/core/daemon";
import { createGateway } from "@wkfs/core/gateway";
import dryRun from "@wkfs/dry-run";
import memory from "@wkfs/memory";
import { ContainerModule } from "inversify";
import { OneProcess, freshKeys } from "./one-process.ts";

const say = (line: string): void => void process.stdout.write(`${line}\n`);
await using secrets = await freshKeys();
const { keys } = secrets;
const path = "/8f3c0c5e";
const config = await checkServerConfig({
  protect: { tcp: [22], maxTime: 600 },
  gateway: { listen: "127.0.0.1:0", path, keys },
  firewall: [{ use: "dry-run", families: ["ipv4"] }],
  store: { use: "memory" },
});
const transport = new OneProcess();
const modules = [
  new ContainerModule(({ bind }) => {
    bind(Services.Transport).toConstantValue(transport);
  }),
];
// One signal ends all three.
const end = new AbortController();
const { signal } = end;
const daemon = await createDaemon({ config, plugins: [dryRun, memory], modules, signal });
const gateway = await createGateway({ config, plugins: [], modules, signal });
daemon.on("opened", ({ leases }) =>
  say(`daemon: ${formatPort(leases[0]!.port)} is open for ${leases[0]!.address.text}`),
);
daemon.on("expired", ({ leases }) => say(`daemon: ${formatPort(leases[0]!.port)} is shut again`));
await daemon.start();
await gateway.start();

const url = `http://${gateway.address}${path}`;
const client = await createClient({ config: await checkClientConfig({ url, keys }), signal });
const expired = once(daemon, "expired");
const { ip, ports } = await client.knock({ time: 1 });
say(
  `client: ${ports.map(({ port, opened }) => `${formatPort(port)} ${opened ? "open" : "not open"}`).join()} for ${ip}`,
);
await expired;
end.abort();
await Promise.all([daemon.stopped, gateway.stopped, client.stopped]);
