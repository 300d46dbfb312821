import type { ServerConfig } from "@wkfs/core/config";
import {
  type Command,
  DAEMON_USER,
  DESCRIPTIONS,
  type Definition,
  GATEWAY_USER,
  NAMES,
  argvOf,
  shellWord,
} from "./definition.ts";
import { type Needs, daemonNeeds, gatewayNeeds } from "./needs.ts";

const USERS = { daemon: DAEMON_USER, gateway: GATEWAY_USER } as const;
type Half = "daemon" | "gateway";

/** Scripts with an LSB header, for start-stop-daemon(8) and setpriv(1) of util-linux. Nobody starts anew what ends. */
export function sysvinitServer(config: ServerConfig, command: Command, roles: readonly Half[]): Definition[] {
  return roles.map((role) => ({
    path: `/etc/init.d/${NAMES[role]}`,
    text: script(
      role,
      command,
      role === "daemon" ? daemonNeeds(config, { handsOver: false }) : gatewayNeeds(config, { handsOver: false }),
    ),
    mode: 0o755,
  }));
}

function script(role: Half, command: Command, needs: Needs): string {
  const [name, user] = [NAMES[role], USERS[role]];
  const argv = argvOf(command, role).map(shellWord).join(" ");
  const groups = role === "daemon" ? `--groups ${DAEMON_USER},${GATEWAY_USER}` : "--clear-groups";
  const capabilities = needs.capabilities.map((capability) => `,+${capability.slice(4).toLowerCase()}`).join("");
  const drop = `--reuid ${user} --regid ${user} ${groups} --no-new-privs --inh-caps=-all${capabilities} --ambient-caps=-all${capabilities} --bounding-set=-all${capabilities}`;
  const folders = [
    ...needs.runtime.map((folder) => ["0755", `/run/${folder}`]),
    ...needs.state.map((folder) => ["0700", `/var/lib/${folder}`]),
  ];
  return `#!/bin/sh
### BEGIN INIT INFO
# Provides:          ${name}
# Required-Start:    $local_fs${role === "gateway" ? ` $network ${NAMES.daemon}` : ""}
# Required-Stop:     $local_fs
${role === "daemon" ? `# Should-Start:      nftables netfilter-persistent\n# X-Start-Before:    networking $network` : "# Should-Start:"}
# Default-Start:     ${role === "daemon" ? "S" : "2 3 4 5"}
# Default-Stop:      0 1 6
# Short-Description: ${DESCRIPTIONS[role]}
### END INIT INFO
# Written by \`wkfs service print --platform sysvinit\`. The users are made by: adduser --system --group --no-create-home ${GATEWAY_USER};
# adduser --system --group --no-create-home ${DAEMON_USER}; adduser ${DAEMON_USER} ${GATEWAY_USER}
# There are no credentials here: let secrets have mode 0640 and the group ${GATEWAY_USER}.

PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
NAME=${name}
PIDFILE=\${WKFS_RUN:-/run}/$NAME.pid
LOG=\${WKFS_LOG:-/var/log}/$NAME.log
export WKFS_DATA_DIR=${shellWord(command.dataDir)}

# As its user, with its rights and no others.
wkfs() {
	setpriv ${drop} -- ${argv} "$@"
}

start() {
${folders.map(([mode, path]) => `	install -d -m ${mode} -o ${user} -g ${user} ${shellWord(path!)}`).join("\n")}
	# Asked before it is started: what is wrong is said here, and not in the log.
	wkfs --check >/dev/null || return 1
	start-stop-daemon --start --quiet --oknodo --background --make-pidfile --pidfile "$PIDFILE" \\
		--output "$LOG" --startas /bin/sh -- -c 'umask 077; exec setpriv ${drop} -- ${argv.replaceAll("'", `'\\''`)}'
}

stop() {
	start-stop-daemon --stop --quiet --oknodo --retry TERM/30/KILL/5 --remove-pidfile --pidfile "$PIDFILE"
}

case "$1" in
start) start ;;
stop) stop ;;
restart | force-reload) stop && start ;;
reload)
	wkfs --check >/dev/null && start-stop-daemon --stop --quiet --signal HUP --pidfile "$PIDFILE"
	;;
status)
	# 0: it runs; 3: it does not; 1: it died. That is what LSB says.
	start-stop-daemon --status --pidfile "$PIDFILE"
	;;
*)
	echo "Usage: $0 {start|stop|restart|force-reload|reload|status}" >&2
	exit 2
	;;
esac
`;
}
