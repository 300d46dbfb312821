import { networkInterfaces } from "node:os";
import type { Firewall } from "@wkfs/core";
import type { GatewayConfig } from "@wkfs/core/config";
import type { Host } from "../install/detect/host.ts";
import { certificateFindings, readCertificate } from "./certificate.ts";
import { clockFindings, readClock } from "./clock.ts";
import { configurationFindings } from "./configuration.ts";
import { askControl, askTransport, daemonFindings, whyNever } from "./daemon.ts";
import { type Finding, type Found, error, note } from "./finding.ts";
import { gatewayFindings } from "./gateway.ts";
import { kernelFindings, probeKernel } from "./kernel.ts";
import { otherFindings } from "./other-firewalls.ts";
import { type Patient, partsOf } from "./patient.ts";
import { permissionFindings, readPermissions } from "./permissions.ts";
import { hookOf, orderFindings } from "./rule-order.ts";
import { serviceFindings } from "./services.ts";
import { examineSmtp } from "./smtp.ts";
import { otherStore, readStore, storeFindings } from "./store.ts";
import { knockAt, ownFindings, ownUrl, wayInFindings } from "./way-in.ts";

/** What to look at beyond what the configuration says. */
export interface Wishes {
  /** The gateway's, as clients write it. */
  readonly url: string | undefined;
  /** A file of certificates to trust for it. */
  readonly ca: string | undefined;
  readonly testMail: boolean;
}

/** One thing that is looked at. It changes nothing, and does not wait for the others. */
interface Check {
  readonly name: string;
  look(): Promise<Found[]>;
}

/** Everything that there is to look at. `host` is what `lookAround` gives; all checks that need it share it. */
export function checksOf(patient: Patient, host: Promise<Host>, { url, ca, testMail }: Wishes): Check[] {
  const { file, config, parts, fault } = patient;
  const firewalls = partsOf(parts, "firewall");
  const checks: Check[] = [
    { name: "configuration", look: async () => configurationFindings(file, fault, parts) },
    { name: "permissions", look: async () => permissionFindings(await readPermissions(patient)) },
    { name: "clock", look: async () => clockFindings(await readClock()) },
  ];
  if (config === undefined) return checks;
  const { protect, control, gateway } = config;
  const here = config.firewall.length > 0 || config.store !== undefined;
  const [transport] = partsOf(parts, "transport");
  if (here || transport !== undefined)
    checks.push({
      name: "daemon",
      look: async () =>
        daemonFindings({
          control: control && (await askControl(control.path)),
          never: await whyNever(config.rescue),
          transport: transport && (await askTransport(transport.made)),
        }),
    });
  if (gateway !== undefined) {
    checks.push({ name: "gateway", look: async () => gatewayFindings(gateway, file) });
    checks.push({ name: "way in", look: () => lookAtWayIn(patient, gateway, { url, ca, testMail }) });
    const { tls } = gateway;
    if (tls !== undefined) {
      const name = url === undefined ? undefined : new URL(url).hostname;
      checks.push({ name: "certificate", look: async () => certificateFindings(await readCertificate(tls, name)) });
    }
  }
  if (config.firewall.length > 0) {
    checks.push(
      { name: "kernel", look: async () => kernelFindings(await probeKernel(firewalls)) },
      { name: "rule order", look: async () => lookAtOrder(patient, await host) },
      {
        name: "other firewalls",
        look: async () => {
          const { others, filter } = await host;
          return otherFindings({ others, legacyBeside: filter.legacyBeside, texts: filter.texts, protect });
        },
      },
      {
        name: "services",
        look: async () => {
          const guarded = firewalls.flatMap(({ made }) => (made as Firewall).capabilities.families);
          return serviceFindings({ protect, listeners: (await host).listeners, guarded, ipv6: hasIpv6() });
        },
      },
    );
  }
  for (const part of partsOf(parts, "notifier").filter(({ use }) => use === "smtp-email"))
    checks.push({ name: "mail", look: () => examineSmtp(part, testMail) });
  for (const part of parts.filter(({ kind }) => kind === "store")) {
    const path = part.use === "sqlite" ? part.config?.["path"] : undefined;
    checks.push({
      name: "store",
      look: async () => (typeof path === "string" ? storeFindings(await readStore(path)) : otherStore(part.use)),
    });
  }
  return checks;
}

/** Looks at all of it at once; `waiting` is told, whenever one is done, which are not. Never rejects. */
export async function examine(
  checks: readonly Check[],
  waiting: (names: readonly string[]) => void,
): Promise<Finding[]> {
  const left = checks.map(({ name }) => name);
  const findings = checks.map(async ({ name, look }): Promise<Finding[]> => {
    try {
      return (await look()).map((found) => ({ check: name, ...found }));
    } catch (failure) {
      return [
        {
          check: name,
          ...error(`could not be looked at: ${failure instanceof Error ? failure.message : String(failure)}`),
        },
      ];
    } finally {
      left.splice(left.indexOf(name), 1);
      waiting(left);
    }
  });
  waiting(left);
  return (await Promise.all(findings)).flat();
}

async function lookAtWayIn({ file, config }: Patient, gateway: GatewayConfig, { url, ca }: Wishes): Promise<Found[]> {
  const [keySet] = config?.keySets ?? [];
  if (keySet === undefined) return [];
  if (url !== undefined) return wayInFindings(await knockAt(url, keySet, ca), file);
  const own = ownUrl(gateway);
  return [
    ...(own === undefined ? [] : await ownFindings(own, keySet)),
    note(
      "whether clients reach the gateway from outside was not tried",
      `wkfs doctor --url https://HOST${gateway.path}`,
    ),
  ];
}

function lookAtOrder({ parts, config }: Patient, { filter }: Host): Found[] {
  if (config === undefined) return [];
  const firewalls = parts.filter(({ kind }) => kind === "firewall");
  const hooks = firewalls.flatMap(({ use, config: own }) => (own === undefined ? [] : (hookOf(use, own) ?? [])));
  if (hooks.length === 0) return [note("where its rules stand only the packet filter itself knows: see `wkfs status`")];
  if (!filter.readable) return [note("the rules of the packet filter only root can read", "sudo wkfs doctor")];
  return hooks.flatMap((hook) => orderFindings(hook, filter.chains, config.protect));
}

function hasIpv6(): boolean {
  const all = Object.values(networkInterfaces()).flatMap((entries) => entries ?? []);
  return all.some(({ family, internal, address }) => family === "IPv6" && !internal && !address.startsWith("fe80:"));
}
