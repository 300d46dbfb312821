import { join } from "node:path";
import { type Command, type Definition, argvOf, xmlText } from "./definition.ts";

/** The name by which launchd knows the client. */
const LABEL = "org.wkfs.client";

/** A launch agent of a user, launchd.plist(5): `launchctl bootstrap gui/$(id -u) ~/Library/LaunchAgents/org.wkfs.client.plist`. */
export function launchdClient(command: Command): Definition[] {
  const words = argvOf(command, "client").map((word) => `    <string>${xmlText(word)}</string>`);
  const text = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>${LABEL}</string>
  <key>ProgramArguments</key>
  <array>
${words.join("\n")}
  </array>
  <key>EnvironmentVariables</key>
  <dict>
    <key>PATH</key>
    <string>/opt/homebrew/bin:/usr/local/bin:/usr/bin:/bin</string>
  </dict>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>ThrottleInterval</key>
  <integer>10</integer>
  <key>ProcessType</key>
  <string>Background</string>
  <key>StandardOutPath</key>
  <string>${xmlText(join(command.home, "Library/Logs/wkfs-client.log"))}</string>
  <key>StandardErrorPath</key>
  <string>${xmlText(join(command.home, "Library/Logs/wkfs-client.log"))}</string>
</dict>
</plist>
`;
  return [{ path: join(command.home, "Library/LaunchAgents", `${LABEL}.plist`), text, mode: 0o644 }];
}
