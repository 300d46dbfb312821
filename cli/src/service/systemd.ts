import { type ServerConfig, credentialName } from "@wkfs/core/config";
import { relayWords } from "@wkfs/core/host";
import { type Command, DAEMON_USER, DESCRIPTIONS, type Definition, GATEWAY_USER, NAMES, argvOf } from "./definition.ts";
import { type Needs, daemonNeeds, gatewayNeeds } from "./needs.ts";
import { relayPath, relayUnits } from "./relay.ts";
import { HARDENING, quoted } from "./systemd-text.ts";

const UNITS = "/etc/systemd/system";

const CONFINED = `# Node compiles while it runs: without MemoryDenyWriteExecute=.
${HARDENING}`;

/** Units and users of the server's halves, with the rights that this configuration needs and no others. */
export function systemdServer(
  config: ServerConfig,
  command: Command,
  roles: readonly ("daemon" | "gateway")[],
): Definition[] {
  const units = { daemon: daemonUnit, gateway: gatewayUnit };
  const sockets = roles.flatMap((role) => socketsFor(role, needsOf[role](config)));
  return [
    ...roles.map((role) => ({
      path: `${UNITS}/${NAMES[role]}.service`,
      text: units[role](config, command),
      mode: 0o644,
    })),
    ...sockets.map(([name, text]) => ({ path: `${UNITS}/${name}`, text, mode: 0o644 })),
    { path: "/etc/sysusers.d/wkfs.conf", text: SYSUSERS, mode: 0o644 },
  ];
}

/** Wants=, since a socket that ends must not end the service. */
function inPlace(role: "daemon" | "gateway", needs: Needs): string {
  const names = socketsFor(role, needs)
    .map(([name]) => name)
    .filter((name) => name.endsWith(".socket"))
    .join(" ");
  if (names === "") return "";
  return `# systemd has these sockets in its place, so that it may make none.
Wants=${names}
After=${names}
`;
}

const SYSUSERS = `# The users of wkfs. The daemon is in the gateway's group, not the other way round: its control socket and its store are
# not for the gateway.
u ${GATEWAY_USER} - "wkfs gateway"
u ${DAEMON_USER} - "wkfs daemon"
m ${DAEMON_USER} ${GATEWAY_USER}
`;

const needsOf = {
  daemon: (config: ServerConfig) => daemonNeeds(config, { handsOver: true }),
  gateway: (config: ServerConfig) => gatewayNeeds(config, { handsOver: true }),
};

/** Units of what systemd has in the place of a half. */
function socketsFor(role: "daemon" | "gateway", { handed, relays }: Needs): [name: string, text: string][] {
  return [
    ...(handed === undefined ? [] : [[`${NAMES[role]}.socket`, socketUnit(role, handed)] as [string, string]]),
    ...relays.flatMap((target) => relayUnits(target, NAMES[role])),
  ];
}

/** What is handed over: the name that the half looks for, and who asks there. */
const HANDED = {
  daemon: { name: "localhost-tcp", who: "the gateway asks", key: "transport" },
  gateway: { name: "gateway", who: "clients knock", key: "listen" },
} as const;

/**
 * Where a half listens. Who connects is not to start it: a daemon may have ended because nobody confirmed its guard. So the
 * socket lives no longer than the service.
 */
function socketUnit(role: "daemon" | "gateway", address: string): string {
  const { name, who, key } = HANDED[role];
  const local = /^(127\.[\d.]+|\[::1\]):/.test(address);
  return `# Written by \`wkfs service print\` for this configuration: print it anew when ${key} changes.
[Unit]
Description=wkfs ${role}: where ${who}
DefaultDependencies=no
BindsTo=${NAMES[role]}.service
Before=shutdown.target
Conflicts=shutdown.target
# It is there anew with every start of the service, which tries for ever.
StartLimitIntervalSec=0

[Socket]
ListenStream=${address}
# Also while no interface has the address yet.
FreeBind=yes
FileDescriptorName=${name}
Backlog=1024
${local ? "IPAddressDeny=any\nIPAddressAllow=localhost\n" : ""}`;
}

function daemonUnit(config: ServerConfig, command: Command): string {
  const needs = needsOf.daemon(config);
  return `# Written by \`wkfs service print\` for this configuration: print it anew when firewall, transport, store, control or notify change.
[Unit]
Description=${DESCRIPTIONS.daemon}
# Up before the first interface is, so that a reboot never has an open minute; therefore without the default dependencies,
# which would make it wait for what waits for the network on cloud images. Rules that the host loads come first.
DefaultDependencies=no
RequiresMountsFor=/var/lib /etc ${command.argv.join(" ")}
After=local-fs.target systemd-sysusers.service systemd-tmpfiles-setup.service systemd-modules-load.service
After=nftables.service netfilter-persistent.service iptables.service ip6tables.service ufw.service
Before=network-pre.target shutdown.target
Wants=network-pre.target
Conflicts=shutdown.target
${inPlace("daemon", needs)}# It is to run whatever it costs: it tries again for ever.
StartLimitIntervalSec=0

[Service]
${life(command, "daemon", needs)}
# A queue that stands still for longer than any call of a plugin may take is a daemon that hangs.
WatchdogSec=120
# A guard on probation ends with the boot, which ProcSubset= hides.
Environment=WKFS_BOOT_ID=%b
${waysOut(needs)}
User=${DAEMON_USER}
Group=${DAEMON_USER}
${rights(needs)}
${needs.chowns ? `${CONFINED}\n# Its socket is given to a group.\nSystemCallFilter=fchownat chown lchown` : CONFINED}

[Install]
WantedBy=multi-user.target
`;
}

/** Tells the daemon which relays there are. */
function waysOut({ relays }: Needs): string {
  if (relays.length === 0) return "";
  const words = relayWords(relays.map((target) => ({ ...target, path: relayPath(target) })));
  return `Environment=${quoted(`WKFS_RELAYS=${words}`)}\n`;
}

function gatewayUnit(config: ServerConfig, command: Command): string {
  const needs = needsOf.gateway(config);
  return `# Written by \`wkfs service print\` for this configuration: print it anew when listen, keys, tls or transport change.
[Unit]
Description=${DESCRIPTIONS.gateway}
After=network.target ${NAMES.daemon}.service
Wants=${NAMES.daemon}.service
${inPlace("gateway", needs)}StartLimitIntervalSec=0

[Service]
${life(command, "gateway", needs)}
WatchdogSec=60

User=${GATEWAY_USER}
Group=${GATEWAY_USER}
${needs.capabilities.length === 0 ? "PrivateUsers=yes\n" : ""}${rights(needs)}
${CONFINED}

[Install]
WantedBy=multi-user.target
`;
}

/** How it is started, told to reload, and started again. Exit code 2 is a wrong configuration: trying again changes nothing. */
function life(command: Command, role: "daemon" | "gateway", { secrets }: Needs): string {
  const start = argvOf(command, role).map(quoted).join(" ");
  const check =
    secrets.length > 0
      ? "# It looks before it changes anything: status and log say when it goes on as it was. What was handed over stays until a restart."
      : `# The first looks, as this user and with these rights, and fails where the configuration is wrong; then nothing has changed.
ExecReload=${start} --check`;
  return `Type=notify
# Node has no datagrams on Unix sockets, so systemd-notify, a child, tells.
NotifyAccess=all
ExecStart=${start}
${check}
ExecReload=/bin/kill -HUP $MAINPID
# The end is told to it alone: with its helpers it still puts the packet filter right.
KillMode=mixed
Restart=always
RestartSec=1
RestartPreventExitStatus=2 6
Environment=WKFS_DATA_DIR=${command.dataDir}`;
}

function rights({ capabilities, families, ip, secrets, runtime, state, writes }: Needs): string {
  const folders = (key: string, names: readonly string[], mode: string) =>
    names.length > 0 ? [`${key}=${names.join(" ")}`, `${key}Mode=${mode}`] : [];
  return [
    `CapabilityBoundingSet=${capabilities.join(" ")}`,
    `AmbientCapabilities=${capabilities.join(" ")}`,
    `RestrictAddressFamilies=${families.join(" ")}`,
    ...(ip === "anybody" ? [] : ["IPAddressDeny=any"]),
    ...(ip === "localhost" ? ["IPAddressAllow=localhost"] : []),
    ...folders("StateDirectory", state, "0700"),
    ...folders("RuntimeDirectory", runtime, "0755"),
    ...(writes.length > 0 ? [`ReadWritePaths=${writes.map(quoted).join(" ")}`] : []),
    // These files may be root's alone.
    ...secrets.map((path) => `LoadCredential=${credentialName(path)}:${path}`),
  ].join("\n");
}
