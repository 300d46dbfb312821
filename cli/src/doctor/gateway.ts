import { parseNetwork } from "@wkfs/core";
import type { GatewayConfig } from "@wkfs/core/config";
import { type Found, error, note, ok, warning } from "./finding.ts";

/** Bits of a prefix below which a network is no proxy's any more. */
const WIDE = { ipv4: 8, ipv6: 32 } as const;
/** Characters that nobody tries through. */
const UNGUESSABLE = 12;

/** What the gateway's section says by itself: its path, whom it believes, and whether it speaks in clear. */
export function gatewayFindings({ path, listen, trustedProxies, tls }: GatewayConfig, file: string): Found[] {
  const found: Found[] = [];
  if (!isUnguessable(path))
    found.push(
      warning(
        `the path ${path} can be guessed, so anybody finds out that there is a gateway`,
        `in ${file}: gateway.path: /$(openssl rand -hex 16), and in the clients' URLs`,
      ),
    );
  for (const text of trustedProxies) {
    const { family, length } = parseNetwork(text);
    if (length === 0)
      found.push(
        error(
          `trustedProxies has ${text}, which takes everybody for a proxy`,
          `in ${file}: name the proxies' own addresses`,
        ),
      );
    else if (length < WIDE[family])
      found.push(
        warning(
          `trustedProxies has ${text}, which is more than one's own proxies`,
          `in ${file}: name the proxies' own addresses`,
        ),
      );
  }
  if (tls === undefined && !isLocal(listen))
    found.push(
      note(
        `the gateway speaks plain HTTP at ${listen}: knocks are sealed all the same, but who listens sees that somebody knocks`,
        `in ${file}: gateway.tls: { cert: FILE, key: FILE }, or a web server with TLS in front`,
      ),
    );
  return found.length > 0
    ? found
    : [
        ok(
          `the gateway's path cannot be guessed, and it believes ${trustedProxies.length === 0 ? "no proxy" : trustedProxies.join(", ")}`,
        ),
      ];
}

export function isUnguessable(path: string): boolean {
  return path.split("/").some((part) => part.length >= UNGUESSABLE && new Set(part).size >= 6 && /\d/.test(part));
}

function isLocal(listen: string): boolean {
  return /^(unix:|127\.|\[::1\]|localhost:)/.test(listen);
}
