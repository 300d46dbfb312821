import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NetworkNamespace, execute, whyNoKernel } from "@wkfs/core/testing";
import { describe, expect, it } from "vitest";
import { Sandbox } from "../../testing/wkfs.ts";
import type { WebServer } from "./answers.ts";
import { proxiesFor, snippetFor } from "./snippets.ts";

/** A configuration of each with the snippet where it belongs, and how the program checks it. */
const PROGRAMS = {
  nginx: {
    program: "nginx",
    around: (snippet: string, folder: string) =>
      `pid ${folder}/pid; error_log ${folder}/log; daemon off; user root;
       events {} http { access_log off; client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;
       fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
       server { listen 80; location / { return 418; }\n${snippet}\n} }`,
    check: (file: string) => ["nginx", "-t", "-c", file],
  },
  apache: {
    program: "apache2",
    around: (snippet: string, folder: string) =>
      `${["mpm_event", "authz_core", "proxy", "proxy_http"].map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`).join("\n")}
       PidFile ${folder}/pid\nErrorLog ${folder}/log\nServerName localhost\nDefaultRuntimeDir ${folder}\nListen 127.0.0.1:80\n<VirtualHost *:80>\n${snippet}\n</VirtualHost>\n`,
    check: (file: string) => ["apache2", "-t", "-f", file],
  },
  caddy: {
    program: "caddy",
    around: (snippet: string) => `{\n\tadmin off\n}\nhttp://127.0.0.1:80 {\n${snippet}\nrespond 418\n}\n`,
    check: (file: string) => ["caddy", "validate", "--adapter", "caddyfile", "--config", file],
  },
} as const;

const require = process.env["WKFS_REQUIRE_KERNEL"] === "1";
const isThere = (program: string) => spawnSync(program, ["-v"], { stdio: "ignore" }).error === undefined;

describe.each(Object.keys(PROGRAMS) as WebServer[])("the snippet for %s", (server) => {
  const { program, around, check } = PROGRAMS[server];
  const skipped = !require && !isThere(program);
  it.skipIf(skipped).each(["127.0.0.1:8080", "0.0.0.0:8080", "[::1]:8080", "unix:/run/wkfs/gateway.sock"])(
    `is right for ${program} itself, with a gateway on %s${skipped ? ` (skipped: ${program} is not installed)` : ""}`,
    async (listen) => {
      const folder = await mkdtemp(join(tmpdir(), "wkfs-snippet-"));
      try {
        const file = join(folder, "config");
        const test = async (snippet: string) => {
          await writeFile(file, around(snippet, folder));
          return await execute(check(file));
        };
        const { code, stderr } = await test(snippetFor(server, listen, "/8f3c0c5e").lines.join("\n"));
        expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" });
        // The program does look.
        expect((await test("nothing of the kind {")).code).not.toBe(0);
      } finally {
        await rm(folder, { recursive: true });
      }
    },
  );
});

const noNginx = whyNoKernel("unshare") ?? (require || isThere("nginx") ? undefined : "nginx is not installed");

it.skipIf(noNginx !== undefined)(
  `a knock goes through a real nginx with the snippet, and opens for the client's address${noNginx === undefined ? "" : ` (skipped: ${noNginx})`}`,
  async () => {
    await using sandbox = await Sandbox.create();
    await using host = await NetworkNamespace.create();
    await using client = await NetworkNamespace.create();
    await host.connect(client, ["10.9.0.1/24"], ["10.9.0.2/24"]);
    const flags = ["--tcp", "22", "--dir", "etc", "--state-dir", "state", "--firewall", "dry-run", "--behind", "nginx"];
    const ran = await sandbox.wkfsOn(host, "install", "server", ...flags, "--url", "http://10.9.0.1/", "--json");
    const { plan } = JSON.parse(ran.stdout) as { plan: { snippet: string[] } };
    const folder = sandbox.path("nginx");
    await mkdir(folder);
    await writeFile(join(folder, "config"), PROGRAMS.nginx.around(plan.snippet.join("\n"), folder));
    for (const role of ["daemon", "serve"]) {
      const running = sandbox.startOn(host, role, "--config", "etc/wkfs.yaml");
      await running.says("stderr", /"msg":"ready"/);
    }
    const nginx = host.spawn(["nginx", "-c", join(folder, "config")], { stdio: "ignore" });
    await once(nginx, "spawn");
    // It has forked when it listens.
    while (!(await answers(host))) expect(nginx.exitCode).toBeNull();
    const knocked = await sandbox.wkfsOn(client, "client", "open", "--config", "etc/client/client.yaml");
    expect(knocked).toMatchObject({ code: 0, stderr: "" });
    expect(knocked.stdout).toMatch(/^tcp\/22 open for 10\.9\.0\.2 until /);
    expect(await readFile(join(folder, "log"), "utf8")).not.toMatch(/\[error\]/);
  },
);

async function answers(host: NetworkNamespace): Promise<boolean> {
  const program =
    'fetch("http://127.0.0.1/").then((answer) => process.exit(answer.status === 418 ? 0 : 1), () => process.exit(1))';
  return (await host.exec([process.execPath, "-e", program])).code === 0;
}

it("trusts the address that the web server comes from", () => {
  expect([proxiesFor("127.0.0.1:80"), proxiesFor("[::1]:80"), proxiesFor("unix:/s")]).toEqual([
    ["127.0.0.1"],
    ["::1"],
    [],
  ]);
});
