import { join } from "node:path";
import { type Command, DESCRIPTIONS, type Definition, NAMES, argvOf } from "./definition.ts";
import { quoted } from "./systemd-text.ts";

/** A unit of a user's own service manager: `systemctl --user enable --now wkfs-client`. */
export function systemdClient(command: Command): Definition[] {
  const text = `[Unit]
Description=${DESCRIPTIONS.client}

[Service]
ExecStart=${argvOf(command, "client").map(quoted).join(" ")}
# By itself it tries again for ever; exit code 2 is a wrong configuration.
Restart=on-failure
RestartSec=10
RestartPreventExitStatus=2
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictNamespaces=yes
RestrictAddressFamilies=AF_UNIX AF_NETLINK AF_INET AF_INET6
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
UMask=0077

[Install]
WantedBy=default.target
`;
  return [{ path: join(command.home, ".config/systemd/user", `${NAMES.client}.service`), text, mode: 0o644 }];
}
