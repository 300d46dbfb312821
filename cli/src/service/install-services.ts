import { mkdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { shellWord } from "../install/next-steps.ts";
import { writeFiles } from "../install/write-files.ts";
import { type Definition, GATEWAY_USER, NAMES } from "./definition.ts";
import { installedFiles, isAsWritten, recordInstalled } from "./installed-files.ts";
import { type ServiceRequest, serviceDefinitions } from "./services.ts";

export interface ServiceInstallation extends ServiceRequest {
  /** Where the list of what was written is kept: the folder of the configuration. */
  readonly folder: string;
  /** Put before every path, for a package or an image; else empty. */
  readonly root: string;
  /** Whether files may be replaced that somebody else wrote, or changed. */
  readonly force: boolean;
}

/** What was written, and what an administrator does next, as lines of a shell. */
export interface ServicesInstalled {
  readonly written: readonly string[];
  readonly unchanged: readonly string[];
  readonly next: readonly string[];
}

/**
 * Writes definitions of services and remembers which, for `wkfs uninstall`. Those that we wrote, and nobody changed since, are
 * written anew; others are refused without `force`, and then nothing is written. Starts nothing. Throws `CONFIG_INVALID`.
 */
export async function installServices(installation: ServiceInstallation): Promise<ServicesInstalled> {
  const { folder, root, force, platform } = installation;
  const definitions = (await serviceDefinitions(installation)).map((one) => ({ ...one, path: join(root, one.path) }));
  const ours = new Map((await installedFiles(folder)).map((file) => [file.path, file]));
  const changed: Definition[] = [];
  for (const one of definitions) if ((await textOf(one.path)) !== one.text) changed.push(one);
  const files = [];
  for (const one of changed) {
    const former = ours.get(one.path);
    files.push({ ...one, replace: force || (former !== undefined && (await isAsWritten(former))) });
  }
  for (const { path } of files) await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  await writeFiles(files);
  await recordInstalled(folder, definitions);
  const names = definitions.map(({ path }) => path);
  return {
    written: changed.map(({ path }) => path),
    unchanged: names.filter((path) => !changed.some((one) => one.path === path)),
    next: nextSteps(platform, names, installation.command.config),
  };
}

async function textOf(path: string): Promise<string | undefined> {
  return await readFile(path, "utf8").catch(() => undefined);
}

function nextSteps(
  platform: ServiceRequest["platform"],
  paths: readonly string[],
  config: string | undefined,
): string[] {
  const services = Object.values(NAMES).filter((name) =>
    paths.some((path) => new RegExp(`/${name}(\\.|$)`).test(path)),
  );
  const readable = config === undefined ? [] : [`chgrp ${GATEWAY_USER} ${config} && chmod 0640 ${config}`];
  switch (platform) {
    case "systemd":
      if (services.includes(NAMES.client))
        return ["systemctl --user daemon-reload", `systemctl --user enable --now ${NAMES.client}`];
      return [
        "systemd-sysusers",
        ...readable,
        "systemctl daemon-reload",
        `systemctl enable ${services.join(" ")}`,
        // Both are started on probation. One alone has nothing to be confirmed by.
        services.includes(NAMES.daemon) && services.includes(NAMES.gateway)
          ? `wkfs activate${config === undefined ? "" : ` --config ${shellWord(config)}`}`
          : `systemctl start ${services.join(" ")}`,
      ];
    case "openrc":
      return [
        ...readable,
        ...services.map(
          (name) => `rc-update add ${name} ${name === NAMES.daemon ? "boot" : "default"} && rc-service ${name} start`,
        ),
      ];
    case "sysvinit":
      return [...readable, ...services.map((name) => `update-rc.d ${name} defaults && service ${name} start`)];
    case "launchd":
      return paths.map((path) => `launchctl bootstrap gui/$(id -u) ${path}`);
    case "windows":
      return paths.map((path) => `Register-ScheduledTask -TaskName ${NAMES.client} -Xml (Get-Content -Raw ${path})`);
  }
}
