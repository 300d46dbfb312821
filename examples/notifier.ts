// A notifier of your own in twenty lines, swapped in by the container: whatever the configuration says under `notify`, the
// daemon tells this one. Run it: node examples/notifier.ts
import { type Notification, type Notifier, eventsInBrief } from "@wkfs/core";
import { checkServerConfig } from "@wkfs/core/config";
import { Services, createDaemon } from "@wkfs/core/daemon";
import { dryRun } from "@wkfs/dry-run";
import memory from "@wkfs/memory";
import { ContainerModule } from "inversify";
import { OneProcess } from "./one-process.ts";

const rung = Promise.withResolvers<void>();

class Bell implements Notifier {
  async notify({ host, events }: Notification): Promise<void> {
    process.stdout.write(`ding! ${host}: ${eventsInBrief(events)}\n`);
    rung.resolve();
  }

  async close(): Promise<void> {}
}

const mine = new ContainerModule(({ bind }) => {
  bind(Services.Transport).toConstantValue(new OneProcess());
  bind(Services.Notifiers).toConstantValue([{ name: "bell", plugin: new Bell(), events: ["started", "opened"] }]);
});
const config = await checkServerConfig({
  protect: { tcp: [22] },
  firewall: [{ use: "dry-run" }],
  store: { use: "memory" },
});
const quiet = dryRun({ write: () => {} });
await using daemon = await createDaemon({ config, plugins: [quiet, memory], modules: [mine] });
await daemon.start();
await rung.promise;
