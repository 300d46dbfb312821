import { isIP } from "node:net";
import type { RelayTarget } from "@wkfs/core/host";
import { DAEMON_USER } from "./definition.ts";
import { HARDENING, quoted } from "./systemd-text.ts";

/** Of systemd itself, in its own package. */
const PROXY = "/usr/lib/systemd/systemd-socket-proxyd";

/** Where the daemon connects to it. */
export function relayPath(target: RelayTarget): string {
  return `/run/${relayName(target)}.sock`;
}

/**
 * Units that lead from a Unix socket of the daemon's to one host and port, and nowhere else. So the daemon, who may change the packet
 * filter, makes no IP sockets, and who connects to the network may change nothing. It passes bytes: TLS is between the two ends.
 * They end with `daemon`, the name of its unit.
 */
export function relayUnits(target: RelayTarget, daemon: string): [name: string, text: string][] {
  const { host, port } = target;
  const place = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const about = `# Written by \`wkfs service print\` for this configuration: print it anew when notify changes.
[Unit]
Description=wkfs relay: leads the daemon to ${place.replaceAll("%", "%%")}`;
  const name = relayName(target);
  return [
    [
      `${name}.socket`,
      `${about}
DefaultDependencies=no
PartOf=${daemon}.service
Before=shutdown.target
Conflicts=shutdown.target

[Socket]
ListenStream=${relayPath(target)}
SocketUser=${DAEMON_USER}
SocketMode=0600
`,
    ],
    [
      `${name}.service`,
      `${about}
PartOf=${daemon}.service
StartLimitIntervalSec=0

[Service]
Type=notify
ExecStart=${PROXY} --connections-max=16 --exit-idle-time=60s ${quoted(place)}
DynamicUser=yes
PrivateUsers=yes
CapabilityBoundingSet=
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
${allowed(host)}MemoryDenyWriteExecute=yes
${HARDENING}
`,
    ],
  ];
}

function relayName({ host, port }: RelayTarget): string {
  return `wkfs-relay-${host.replaceAll(/[^\w.-]/g, "-")}-${port}`;
}

/** Where a name leads is seen only when it is looked up, which takes a name server. */
function allowed(host: string): string {
  const address = host === "localhost" ? "localhost" : isIP(host) !== 0 && !host.includes("%") ? host : undefined;
  return address === undefined ? "" : `IPAddressDeny=any\nIPAddressAllow=${address}\n`;
}
