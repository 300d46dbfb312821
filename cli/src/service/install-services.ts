import { mkdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { writeFiles } from "../install/write-files.ts";
import { WkfsError } from "@wkfs/core";
import { hasSystemd } from "../rescue/outside-timer.ts";
import { program } from "../rescue/program.ts";
import { type Definition, GATEWAY_USER, NAMES, shellWord } from "./definition.ts";
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

/** What was written and done, and what an administrator does next, as lines of a shell. */
export interface ServicesInstalled {
  readonly written: readonly string[];
  readonly unchanged: readonly string[];
  /** What systemd was told where it runs: their users, and that they are there. */
  readonly ran: readonly string[];
  readonly next: readonly string[];
}

/**
 * Writes definitions of services and remembers which, for `wkfs uninstall`. Those that we wrote, and nobody changed since, are
 * written anew; others are refused without `force`, and then nothing is written. Where systemd runs, a server's users are made and the units
 * are loaded. Starts nothing: what starts a guard is `wkfs activate`. Throws `CONFIG_INVALID`, and `HOST_UNSUPPORTED` when systemd refuses.
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
  const steps = { platform, paths: names, config: installation.command.config };
  const prepares = root === "" && hasSystemd();
  const ran = prepares ? preparation(steps) : [];
  for (const line of ran) await prepare(line);
  return {
    written: changed.map(({ path }) => path),
    unchanged: names.filter((path) => !changed.some((one) => one.path === path)),
    ran: ran.map((argv) => argv.map(shellWord).join(" ")),
    next: [
      ...(prepares ? [] : preparation(steps).map((argv) => argv.map(shellWord).join(" "))),
      ...nextSteps(steps, ours.size === 0),
    ],
  };
}

async function textOf(path: string): Promise<string | undefined> {
  return await readFile(path, "utf8").catch(() => undefined);
}

interface Steps {
  readonly platform: ServiceRequest["platform"];
  /** Of the definitions. */
  readonly paths: readonly string[];
  readonly config: string | undefined;
}

/** What makes the services of a server startable. The users come first: the configuration is for the gateway's group too. */
function preparation({ platform, paths, config }: Steps): string[][] {
  if (config === undefined || servicesIn(paths).includes(NAMES.client)) return [];
  const readable = [
    ["chgrp", GATEWAY_USER, config],
    ["chmod", "0640", config],
  ];
  return platform === "systemd" ? [["systemd-sysusers"], ...readable, ["systemctl", "daemon-reload"]] : readable;
}

async function prepare(argv: readonly string[]): Promise<void> {
  const { code, stderr } = await program(argv);
  if (code === 0) return;
  throw new WkfsError(
    "HOST_UNSUPPORTED",
    `the services are written, but \`${argv.join(" ")}\` failed: ${stderr.trim()}`,
    {
      hint: "Run this as root, see what it says, and run `wkfs service install` again.",
    },
  );
}

/** A server's guard goes up by `wkfs activate`, which is on probation, also the one of a changed configuration. */
function nextSteps({ platform, paths, config }: Steps, first: boolean): string[] {
  const services = servicesIn(paths);
  const activate = `wkfs activate${config === undefined ? "" : ` --config ${shellWord(config)}`}`;
  // Without a daemon of ours there is no guard to put up.
  const guard = services.includes(NAMES.daemon) ? [activate] : [];
  switch (platform) {
    case "systemd":
      if (services.includes(NAMES.client))
        return ["systemctl --user daemon-reload", `systemctl --user enable --now ${NAMES.client}`];
      if (guard.length > 0) return guard;
      return [`systemctl ${first ? "enable --now" : "try-restart"} ${services.join(" ")}`];
    case "openrc":
      return [
        ...guard,
        ...services.map(
          (name) => `rc-update add ${name} ${name === NAMES.daemon ? "boot" : "default"} && rc-service ${name} start`,
        ),
      ];
    case "sysvinit":
      return [...guard, ...services.map((name) => `update-rc.d ${name} defaults && service ${name} start`)];
    case "launchd":
      return paths.map((path) => `launchctl bootstrap gui/$(id -u) ${path}`);
    case "windows":
      return paths.map((path) => `Register-ScheduledTask -TaskName ${NAMES.client} -Xml (Get-Content -Raw ${path})`);
  }
}

function servicesIn(paths: readonly string[]): string[] {
  return Object.values(NAMES).filter((name) => paths.some((path) => new RegExp(`/${name}(\\.|$)`).test(path)));
}
