import type { WebServer } from "./answers.ts";
import { portOf } from "./host-findings.ts";

/** What a web server needs so that it passes one path to the gateway, as lines for its configuration. */
export interface Snippet {
  /** Where it belongs, in words. */
  readonly where: string;
  readonly lines: readonly string[];
}

/** Bytes that the gateway takes of a knock. */
const LARGEST = 65_536;

export function snippetFor(server: WebServer, listen: string, path: string): Snippet {
  const socket = listen.startsWith("unix:") ? listen.slice("unix:".length) : undefined;
  const address = addressOf(listen);
  switch (server) {
    case "nginx":
      return {
        where: "in the server block of the site, in /etc/nginx/sites-enabled; then: nginx -t && nginx -s reload",
        lines: [
          `location = ${path} {`,
          `    proxy_pass http://${socket === undefined ? address : `unix:${socket}`};`,
          "    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
          "    client_max_body_size 64k;",
          "}",
        ],
      };
    case "apache":
      return {
        where:
          "in the VirtualHost of the site, in /etc/apache2/sites-enabled; then: a2enmod proxy proxy_http && apache2ctl configtest && apache2ctl graceful",
        lines: [
          `<Location "${path}">`,
          // X-Forwarded-For is its own doing.
          `    ProxyPass "${socket === undefined ? `http://${address}${path}` : `unix:${socket}|http://localhost${path}`}"`,
          `    LimitRequestBody ${LARGEST}`,
          "</Location>",
        ],
      };
    case "caddy":
      return {
        where:
          "in the block of the site, in /etc/caddy/Caddyfile; then: caddy validate --config /etc/caddy/Caddyfile && caddy reload --config /etc/caddy/Caddyfile",
        lines: [
          `handle ${path} {`,
          "    request_body {",
          "        max_size 64KB",
          "    }",
          `    reverse_proxy ${socket === undefined ? address : `unix/${socket}`}`,
          "}",
        ],
      };
  }
}

/** Whom the gateway believes then: the address that the web server of this host comes from. Of a Unix socket it knows it anyway. */
export function proxiesFor(listen: string): string[] {
  if (listen.startsWith("unix:")) return [];
  return [listen.startsWith("[") ? "::1" : "127.0.0.1"];
}

/** What to connect to where the gateway listens on all addresses. */
function addressOf(listen: string): string {
  return listen.replace(/^0\.0\.0\.0:/, "127.0.0.1:").replace(/^\[::\]:/, "[::1]:");
}

/** Whether others than this host reach the gateway directly. */
export function reachedDirectly(listen: string): boolean {
  return portOf(listen) !== undefined && !/^(127\.|\[::1\]|localhost:)/.test(listen);
}
