import { DAEMON_USER, GATEWAY_USER, NAMES, shellWord } from "./definition.ts";
import type { InitScript } from "./init-scripts.ts";

/** A script with an LSB header, for start-stop-daemon(8) and setpriv(1) of util-linux. Nobody starts anew what ends. */
export function sysvinitScript({
  role,
  name,
  user,
  description,
  argv: words,
  dataDir,
  folders,
  capabilities: rights,
}: InitScript): string {
  const argv = words.map(shellWord).join(" ");
  const groups = role === "daemon" ? `--groups ${DAEMON_USER},${GATEWAY_USER}` : "--clear-groups";
  const capabilities = rights.map((capability) => `,+${capability.slice(4).toLowerCase()}`).join("");
  const drop = `--reuid ${user} --regid ${user} ${groups} --no-new-privs --inh-caps=-all${capabilities} --ambient-caps=-all${capabilities} --bounding-set=-all${capabilities}`;
  return `#!/bin/sh
### BEGIN INIT INFO
# Provides:          ${name}
# Required-Start:    $local_fs${role === "gateway" ? ` $network ${NAMES.daemon}` : ""}
# Required-Stop:     $local_fs
${role === "daemon" ? `# Should-Start:      nftables netfilter-persistent\n# X-Start-Before:    networking $network` : "# Should-Start:"}
# Default-Start:     ${role === "daemon" ? "S" : "2 3 4 5"}
# Default-Stop:      0 1 6
# Short-Description: ${description}
### END INIT INFO
# Written by \`wkfs service print --platform sysvinit\`. The users are made by: adduser --system --group --no-create-home ${GATEWAY_USER};
# adduser --system --group --no-create-home ${DAEMON_USER}; adduser ${DAEMON_USER} ${GATEWAY_USER}
# There are no credentials here: let secrets have mode 0640 and the group ${GATEWAY_USER}.

PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
NAME=${name}
PIDFILE=\${WKFS_RUN:-/run}/$NAME.pid
LOG=\${WKFS_LOG:-/var/log}/$NAME.log
export WKFS_DATA_DIR=${shellWord(dataDir)}

# As its user, with its rights and no others.
wkfs() {
	setpriv ${drop} -- ${argv} "$@"
}

start() {
${folders.map(([mode, path]) => `	install -d -m ${mode} -o ${user} -g ${user} ${shellWord(path)}`).join("\n")}
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
