import { once } from "node:events";
import { connect } from "node:net";
import { lookup } from "node:dns/promises";
import { isWkfsError, messageOf } from "@wkfs/core";
import { createClient } from "@wkfs/core/client";
import type { GatewayConfig, KeySet } from "@wkfs/core/config";
import type { Asked } from "./daemon.ts";
import { type Found, error, note, ok } from "./finding.ts";

/** What was found out by knocking at a URL, without opening anything. */
export interface WayIn {
  readonly url: string;
  /** Our address as the gateway saw it, or why there was no answer. */
  readonly seen: Asked<string>;
  /** The same with a forged `X-Forwarded-For`; undefined when it was not tried. */
  readonly forged: Asked<string> | undefined;
  /** The address that we knocked from; undefined when the connection failed. */
  readonly from: string | undefined;
  /** Those that the URL's name has. */
  readonly server: readonly string[];
}

/** An address of RFC 5737 that is nobody's. */
const FORGED = "203.0.113.77";

export function wayInFindings({ url, seen, forged, from, server }: WayIn, file: string): Found[] {
  const believed = forged !== undefined && "answer" in forged && forged.answer === FORGED;
  if ("failure" in seen) return believed ? [credulous(file)] : [error(`${url}: ${seen.failure}`, seen.hint)];
  const ip = seen.answer;
  const found: Found[] = [];
  if (ip === from) found.push(ok(`a knock at ${hostOf(url)} reaches the gateway, which sees our address, ${ip}`));
  else if (isLoopback(ip) || server.includes(ip) || (isPrivate(ip) && from !== undefined && !isPrivate(from)))
    found.push(
      error(
        `the gateway takes the address of a proxy, ${ip}, for that of the client (${from}): ports would be opened for the proxy`,
        `in ${file}: gateway.trustedProxies: ["${ip}"], and have the proxy send X-Forwarded-For`,
      ),
    );
  else
    found.push(
      note(
        `a knock at ${hostOf(url)} reaches the gateway, which sees ${ip}; here we are ${from}: that is right behind NAT, and else a proxy is missing in gateway.trustedProxies`,
      ),
    );
  if (believed) found.push(credulous(file));
  if (url.startsWith("http:"))
    found.push(
      note(
        `${hostOf(url)} is asked without TLS: knocks are sealed all the same, but who listens sees that somebody knocks`,
      ),
    );
  return found;
}

function credulous(file: string): Found {
  return error(
    "the gateway believes an X-Forwarded-For that we made up: who has a key can have ports opened for any address",
    `in ${file}: gateway.trustedProxies must name the proxies and nobody else, and the proxy must add to the header or set it`,
  );
}

/** Where the gateway listens, as this host reaches it; undefined where it does so by TLS, or on a Unix socket. */
export function ownUrl({ listen, path, tls }: GatewayConfig): string | undefined {
  if (tls !== undefined || listen.startsWith("unix:")) return undefined;
  return `http://${listen.replace(/^0\.0\.0\.0:/, "127.0.0.1:").replace(/^\[::\]:/, "[::1]:")}${path}`;
}

/** Whether the gateway itself answers, without what may be in front of it. */
export async function ownFindings(url: string, keySet: KeySet): Promise<Found[]> {
  // Where this host's own proxy is trusted, it must say for whom it asks.
  const own = await ask(url, keySet, undefined, { "X-Forwarded-For": FORGED });
  if ("answer" in own) return [ok(`the gateway answers at ${hostOf(url)}`)];
  const { hint = "systemctl start wkfs-gateway  # and see why not: journalctl -u wkfs-gateway" } = own;
  return [error(`the gateway, at ${hostOf(url)}: ${own.failure}`, hint)];
}

/** Asks with the server's own keys what it offers, which opens nothing. */
export async function knockAt(url: string, keySet: KeySet, ca: string | undefined): Promise<WayIn> {
  const { hostname, port, protocol } = new URL(url);
  const host = hostname.replaceAll(/^\[|\]$/g, "");
  const [from, server] = await Promise.all([
    ourAddress(host, Number(port) || (protocol === "https:" ? 443 : 80)),
    lookup(host, { all: true }).then(
      (all) => all.map(({ address }) => address),
      () => [],
    ),
  ]);
  const seen = await ask(url, keySet, ca, {});
  // Whoever asks from the loopback may be a proxy of this host, whom one must believe.
  const forged =
    from === undefined || isLoopback(from) ? undefined : await ask(url, keySet, ca, { "X-Forwarded-For": FORGED });
  return { url, seen, forged, from, server: server.filter((address) => address !== from) };
}

/** Milliseconds for an answer. */
const LIMIT = 15_000;

async function ask(
  url: string,
  { keys }: KeySet,
  ca: string | undefined,
  headers: Readonly<Record<string, string>>,
): Promise<Asked<string>> {
  try {
    const client = await createClient({ config: { url, keys, ca, ports: undefined, maxTime: undefined }, headers });
    return { answer: (await client.info(AbortSignal.timeout(LIMIT))).ip };
  } catch (failure) {
    return { failure: messageOf(failure), hint: isWkfsError(failure) ? failure.hint : undefined };
  }
}

async function ourAddress(host: string, port: number): Promise<string | undefined> {
  const socket = connect({ host, port, timeout: LIMIT });
  try {
    await once(socket, "connect", { signal: AbortSignal.timeout(LIMIT) });
    return socket.localAddress?.replace(/^::ffff:(?=\d+\.)/, "");
  } catch {
    return undefined;
  } finally {
    socket.on("error", () => {}).destroy();
  }
}

function hostOf(url: string): string {
  return new URL(url).host;
}

function isLoopback(ip: string): boolean {
  return ip === "::1" || ip.startsWith("127.");
}

function isPrivate(ip: string): boolean {
  return /^(10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|169\.254\.|f[cd]|fe80:)/.test(ip);
}
