import type { Section, ServerAnswers } from "./answers.ts";
import { yamlMapping, yamlValue } from "./yaml-text.ts";

/** Where an installation puts what is not asked about. Absolute. */
export interface ServerPlaces {
  readonly keys: string;
  readonly database: string;
}

/** The configuration as a value, in the shape of the file. */
export function serverValue(answers: ServerAnswers, { keys, database }: ServerPlaces) {
  const { tcp, udp, maxTime, listen, path, trustedProxies, transport, firewalls, notify, control } = answers;
  return {
    protect: { tcp, udp, maxTime },
    gateway: { listen, path, trustedProxies, keys },
    transport,
    firewall: firewalls,
    store: { use: "sqlite", path: database },
    notify,
    ...(control && { control: { path: control.path, ...(control.group !== undefined && { group: control.group }) } }),
  };
}

/** The same value as text, with a word to whoever changes it. */
export function serverYaml(answers: ServerAnswers, places: ServerPlaces): string {
  const { protect, gateway, transport, firewall, store, notify, control } = serverValue(answers, places);
  return `# wkfs: ports that are closed until somebody with the keys knocks.
# Check after a change, without touching the host: wkfs config check

# Closed for everybody, opened for one address at a time. A lease lasts maxTime seconds ("10m" is the same as 600)
# unless the client renews it, which it does.
protect:
  tcp: ${yamlValue(protect.tcp)}
  udp: ${yamlValue(protect.udp)}
  maxTime: ${protect.maxTime}

# What clients reach (wkfs serve). Everything but this path is a 404. Behind a web server, name its address in
# trustedProxies, or every client will seem to come from there.
gateway:
  listen: ${yamlValue(gateway.listen)}
  path: ${yamlValue(gateway.path)}
  trustedProxies: ${yamlValue(gateway.trustedProxies)}
  keys: ${yamlValue(gateway.keys)}

# How gateway and daemon speak with each other.
transport: ${yamlMapping(transport)}

# Where leases are written (wkfs daemon). "mode: guard" closes the protected ports by itself; "allow" adds accepts only, and
# the rules of the administrator have to close the ports.
firewall:
${list(firewall)}
# What is open, remembered over restarts.
store: ${yamlMapping(store)}

# Who is told when a port was opened.
${notify.length === 0 ? "notify: []\n" : `notify:\n${list(notify)}`}${
    control === undefined
      ? ""
      : `
# Where a running daemon can be asked and steered: wkfs status.
control: ${yamlMapping(control)}
`
  }`;
}

function list(entries: readonly Section[]): string {
  return entries.map((entry) => `  - ${yamlMapping(entry)}\n`).join("");
}
