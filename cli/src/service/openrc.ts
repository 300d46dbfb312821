import { DAEMON_USER, GATEWAY_USER, NAMES, shellWord } from "./definition.ts";
import type { InitScript } from "./init-scripts.ts";

/** An openrc-run(8) script under supervise-daemon(8), which starts anew what ends. Capabilities need OpenRC 0.45 or newer. */
export function openrcScript({
  role,
  name,
  user,
  description,
  argv,
  folders,
  capabilities: rights,
}: InitScript): string {
  const [program, ...rest] = argv;
  const capabilities = rights.map((capability) => `^${capability.toLowerCase()}`).join(",");
  return `#!/sbin/openrc-run
# Written by \`wkfs service print --platform openrc\`. The users are made by: addgroup -S ${GATEWAY_USER}; adduser -S -D -H -G ${GATEWAY_USER} ${GATEWAY_USER};
# addgroup -S ${DAEMON_USER}; adduser -S -D -H -G ${DAEMON_USER} ${DAEMON_USER}; addgroup ${DAEMON_USER} ${GATEWAY_USER}
# There are no credentials here: let secrets have mode 0640 and the group ${GATEWAY_USER}.

description=${shellWord(description)}
supervisor=supervise-daemon
command=${shellWord(program!)}
command_args="${rest
    .map(shellWord)
    .join(" ")
    .replaceAll(/[\\"$`]/g, "\\$&")}"
command_user="${user}:${user}"
respawn_delay=1
respawn_max=0
${capabilities === "" ? "" : `capabilities="${capabilities}"\n`}no_new_privs=true
umask=0077
output_logger="logger -t ${name} -p daemon.info"
error_logger="logger -t ${name} -p daemon.info"
extra_started_commands="reload"
description_reload="Read the configuration anew; leases stay"

depend() {
${
  role === "daemon"
    ? `	# Before the first interface is up: a reboot never has an open minute.
	need localmount
	after nftables iptables ip6tables ipset modules
	before net`
    : `	need net
	use ${NAMES.daemon}
	after ${NAMES.daemon}`
}
}

start_pre() {
${folders.map(([mode, path]) => `	checkpath --directory --mode ${mode} --owner ${user}:${user} ${shellWord(path)}`).join("\n") || "	:"}
}

reload() {
	ebegin "Reloading \${RC_SVCNAME}"
	su -s /bin/sh -c '${[program!, ...rest, "--check"].map(shellWord).join(" ").replaceAll("'", `'\\''`)}' ${user} >/dev/null &&
		supervise-daemon "\${RC_SVCNAME}" --signal HUP
	eend $?
}
`;
}
