import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, open, writeFile } from "node:fs/promises";
import { NetworkNamespace, whyNoKernel } from "@wkfs/core/testing";
import { describe, expect, it } from "vitest";
import { RUN, Sandbox } from "../../testing/wkfs.ts";
import type { Finding } from "./finding.ts";

const lack = whyNoKernel("nft", "openssl");
const PATH = "/8f3c0c5e9b2a4d71";
const SERVER = "198.51.100.1";
const CLIENT = "198.51.100.2";
const SERVICE = `require("node:net").createServer().listen(22, "::", () => console.log("up"))`;

/** A server in a network namespace, and a client at the other end of a cable. */
class Clinic implements AsyncDisposable {
  readonly host: Sandbox;
  readonly server: NetworkNamespace;
  readonly client: NetworkNamespace;

  private constructor(host: Sandbox, server: NetworkNamespace, client: NetworkNamespace) {
    this.host = host;
    this.server = server;
    this.client = client;
  }

  static async open(change: (lines: string[]) => string[] = (lines) => lines): Promise<Clinic> {
    const host = await Sandbox.create();
    const [server, client] = await Promise.all([NetworkNamespace.create(), NetworkNamespace.create()]);
    await server.connect(client, [`${SERVER}/24`], [`${CLIENT}/24`]);
    await chmod(host.dir, 0o700);
    const lines = [
      "protect: { tcp: [22], maxTime: 10m }",
      `gateway: { listen: "${SERVER}:80", path: ${PATH}, keys: keys.json }`,
      "transport: { use: localhost-tcp, port: 991, secret: secret }",
      "firewall: [{ use: nftables }]",
      `store: { use: sqlite, path: ${host.path("state", "wkfs.db")} }`,
      `control: { path: ${host.path("run", "control.sock")} }`,
    ];
    await mkdir(host.path("state"), { mode: 0o700 });
    await writeFile(host.path("wkfs.yaml"), `${change(lines).join("\n")}\n`, { mode: 0o640 });
    await writeFile(host.path("secret"), "a secret of sixteen characters\n", { mode: 0o600 });
    const hex = (bytes: number, fill: number) => Buffer.alloc(bytes, fill).toString("hex");
    const keys = { key1: hex(32, 1), iv1: hex(16, 2), key2: hex(32, 3), iv2: hex(16, 4), sign: hex(32, 5) };
    await writeFile(host.path("keys.json"), JSON.stringify(keys), { mode: 0o600 });
    return new Clinic(host, server, client);
  }

  /** Starts a half of the server, or another program in its namespace, and waits for this word of it. */
  async start(says: string, ...argv: string[]): Promise<() => Promise<void>> {
    const child = this.server.spawn([process.execPath, ...argv], { env: this.#env, stdio: ["ignore", "pipe", "pipe"] });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let said = "";
    for (const stream of [child.stdout!, child.stderr!])
      stream.on("data", (piece: Buffer) => {
        said += piece.toString();
        if (said.includes(says)) resolve();
      });
    child.once("exit", () => reject(new Error(said)));
    await promise;
    return async () => {
      const gone = once(child, "exit");
      child.kill("SIGKILL");
      await gone;
    };
  }

  /** Daemon, gateway and the service that they guard; gives what ends the daemon. */
  async up(): Promise<() => Promise<void>> {
    const config = ["--config", this.host.path("wkfs.yaml")];
    const [end] = await Promise.all([
      this.start('"ready"', RUN, "daemon", ...config),
      this.start('"ready"', RUN, "serve", ...config),
      this.start("up", "-e", SERVICE),
    ]);
    return end;
  }

  async doctor(where: NetworkNamespace = this.server, ...args: string[]) {
    const config = ["--config", this.host.path("wkfs.yaml")];
    const env = Object.entries(this.#env).map(([name, value]) => `${name}=${value}`);
    const ran = await where.exec(["env", ...env, process.execPath, RUN, "doctor", "--json", ...config, ...args]);
    const { findings } = JSON.parse(ran.stdout) as { readonly findings: readonly Finding[] };
    const of = (check: string) => findings.filter((one) => one.check === check);
    return {
      code: ran.code,
      findings,
      of,
      bad: findings.filter(({ level }) => level === "error" || level === "warning"),
    };
  }

  /** Opens what is protected for an address, by hand. */
  async open(address: string): Promise<void> {
    const outcome = await this.host.wkfs(
      "open",
      address,
      "--tcp",
      "22",
      "--socket",
      this.host.path("run", "control.sock"),
    );
    if (outcome.code !== 0) throw new Error(outcome.stderr);
  }

  get #env(): Record<string, string> {
    return { PATH: process.env["PATH"] ?? "", HOME: this.host.dir, WKFS_DATA_DIR: this.host.path("data") };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    await this.client[Symbol.asyncDispose]();
    await this.host[Symbol.asyncDispose]();
  }
}

/** `cert.pem` of January 2024 and its `key.pem`. Of openssl 3.0 only `ca` takes dates. */
async function endedCertificate(folder: string): Promise<void> {
  const sections = [
    "[ca]",
    "default_ca = c",
    "[c]",
    "database = index",
    "new_certs_dir = .",
    "rand_serial = yes",
    "policy = p",
  ];
  await writeFile(`${folder}/ca.cnf`, [...sections, "[p]", "commonName = supplied", ""].join("\n"));
  await writeFile(`${folder}/index`, "");
  const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: folder, stdio: "ignore" });
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
  openssl("req", "-new", ...curve, "-nodes", "-subj", "/CN=gate", "-keyout", "key.pem", "-out", "csr.pem");
  const dates = ["-startdate", "20240101000000Z", "-enddate", "20240201000000Z"];
  const made = ["-in", "csr.pem", "-keyfile", "key.pem", "-out", "cert.pem", "-md", "sha256"];
  openssl("ca", "-batch", "-selfsign", "-notext", "-config", "ca.cnf", ...made, ...dates);
}

/** A web server in front that says nothing of whom it asks for. */
const PROXY = `const { createServer, request } = require("node:http");
createServer((asked, answer) => {
  const { url: path, method, headers } = asked;
  asked.pipe(request({ host: "${SERVER}", port: 80, path, method, headers }, (got) => {
    answer.writeHead(got.statusCode, got.headers);
    got.pipe(answer);
  }));
}).listen(81, () => console.log("up"));`;

describe.skipIf(lack !== undefined).concurrent(`wkfs doctor ${lack ?? ""}`, () => {
  it("finds nothing where all is well, and changes nothing", async () => {
    await using clinic = await Clinic.open();
    await clinic.up();
    const before = await clinic.server.run("nft", "list", "ruleset");
    const { code, findings, bad, of } = await clinic.doctor(clinic.server, "--url", `http://${SERVER}${PATH}`);
    expect(bad).toEqual([]);
    expect(code).toBe(0);
    expect(new Set(findings.map(({ check }) => check))).toEqual(
      new Set([
        "configuration",
        "permissions",
        "clock",
        "daemon",
        "gateway",
        "way in",
        "kernel",
        "rule order",
        "other firewalls",
        "services",
        "store",
      ]),
    );
    expect(of("kernel").map(({ level }) => level)).toEqual(["ok", "ok", "ok"]);
    expect(of("services")).toMatchObject([{ what: /listens on tcp\/22$/ }, { level: "ok" }]);
    expect(await clinic.server.run("nft", "list", "ruleset")).toBe(before);
    const elsewhere = await clinic.doctor(clinic.client, "--url", `http://${SERVER}${PATH}`);
    expect(elsewhere.of("way in")[0]).toMatchObject({ level: "ok", what: expect.stringContaining(CLIENT) as unknown });
  });

  it("finds files that too many can read or write", async () => {
    await using clinic = await Clinic.open();
    await chmod(clinic.host.path("keys.json"), 0o644);
    await chmod(clinic.host.path("secret"), 0o604);
    await chmod(clinic.host.path("wkfs.yaml"), 0o666);
    await chmod(clinic.host.path("state"), 0o777);
    const { code, of } = await clinic.doctor();
    expect(code).toBe(1);
    expect(of("permissions").map(({ level, mend }) => `${level} ${mend}`)).toEqual([
      `error chmod go-w ${clinic.host.path("wkfs.yaml")}`,
      `error chmod 0600 ${clinic.host.path("keys.json")}  # or 0640`,
      `error chmod 0600 ${clinic.host.path("secret")}  # or 0640`,
      `error chmod go-w ${clinic.host.path("state")}`,
    ]);
  });

  it("finds a dead daemon, a gateway that is not there, and a hook that is gone", async () => {
    await using clinic = await Clinic.open();
    const end = await clinic.up();
    await end();
    await clinic.server.run("nft", "delete", "table", "inet", "wkfs");
    const { code, of } = await clinic.doctor();
    expect(code).toBe(1);
    expect(of("daemon")).toMatchObject([
      { level: "error", what: /^no daemon answers on .*control\.sock/, mend: /systemctl start wkfs-daemon/ },
      { level: "error", what: /^by 127\.0\.0\.1:991: / },
    ]);
    expect(of("rule order")).toMatchObject([
      { level: "error", what: "nftables: its hook is not in the kernel, and nothing guards" },
    ]);
    expect(of("way in")[0]).toMatchObject({ level: "ok" });
  });

  it("finds a chain that drops what a lease lets through, and is content once it accepts", async () => {
    await using clinic = await Clinic.open();
    await clinic.up();
    await clinic.server.run(
      "nft",
      "add table inet own; add chain inet own in { type filter hook input priority 0; policy drop; }",
    );
    await clinic.server.run(
      "nft",
      "add rule inet own in ct state established accept; add rule inet own in iif lo accept",
    );
    const { code, of } = await clinic.doctor();
    expect(code).toBe(1);
    const [found, ...others] = of("rule order");
    expect(others).toEqual([]);
    expect(found).toMatchObject({
      level: "error",
      what: /^tcp\/22 stays shut for an open lease: inet own in drops it by its policy/,
    });
    const [program, ...rest] = found!.mend!.split("  #")[0]!.split(" ");
    await clinic.server.run(program!, rest.join(" "));
    const mended = await clinic.doctor();
    expect(mended.of("rule order")).toMatchObject([{ level: "ok" }]);
    // That it is true: a lease now lets the client in, and without one it stays out.
    const dial = () => clinic.client.exec(["bash", "-c", `timeout 1 bash -c '</dev/tcp/${SERVER}/22'`]);
    expect((await dial()).code).not.toBe(0);
    await clinic.open(CLIENT);
    expect((await dial()).code).toBe(0);
  });

  it("finds rules that open a port before ours, or without a lease", async () => {
    await using clinic = await Clinic.open((lines) =>
      lines.map((line) => (line.startsWith("firewall") ? "firewall: [{ use: iptables }, { use: ip6tables }]" : line)),
    );
    const end = await clinic.up();
    expect((await clinic.doctor()).bad).toEqual([]);
    // A daemon that lives would put its jump first again.
    await end();
    await clinic.server.run("iptables", "-I", "INPUT", "-p", "tcp", "--dport", "20:30", "-j", "ACCEPT");
    const { of } = await clinic.doctor();
    const [found] = of("rule order");
    expect(found).toMatchObject({
      level: "error",
      what: /^tcp\/22 is open to everybody: iptables INPUT accepts before our chain/,
    });
    await clinic.server.run(...(found!.mend!.split(" ") as [string]));
    expect((await clinic.doctor()).of("rule order").map(({ level }) => level)).toEqual(["ok", "ok"]);
  });

  it("finds that with mode allow nobody drops", async () => {
    await using clinic = await Clinic.open((lines) =>
      lines.map((line) =>
        line.startsWith("firewall") ? "firewall: [{ use: iptables, mode: allow }, { use: ip6tables }]" : line,
      ),
    );
    await clinic.up();
    expect((await clinic.doctor()).of("rule order")).toMatchObject([
      { level: "error", what: /^tcp\/22 is open to everybody: iptables INPUT accepts it without a lease: its policy/ },
      { level: "ok" },
    ]);
    await clinic.server.run("iptables", "-A", "INPUT", "-p", "tcp", "--dport", "22", "-j", "DROP");
    expect((await clinic.doctor()).of("rule order")).toMatchObject([{ level: "ok" }, { level: "ok" }]);
  });

  it("finds a port that is forwarded past the guard, and IPv6 that nobody guards", async () => {
    await using clinic = await Clinic.open((lines) =>
      lines.map((line) => (line.startsWith("firewall") ? "firewall: [{ use: iptables }]" : line)),
    );
    await clinic.up();
    await clinic.server.run("ip", "address", "add", "2001:db8::1/64", "dev", "wire0", "nodad");
    const nat = ["-p", "tcp", "--dport", "22", "-j", "DNAT", "--to-destination", "172.17.0.2:22"];
    await clinic.server.run("iptables", "-t", "nat", "-N", "DOCKER");
    await clinic.server.run("iptables", "-t", "nat", "-A", "DOCKER", ...nat);
    const { of } = await clinic.doctor();
    expect(of("other firewalls")[0]).toMatchObject({
      level: "error",
      what: /^tcp\/22 is open to everybody: it is forwarded to 172\.17\.0\.2:22, by Docker/,
    });
    expect(of("services").at(-1)).toMatchObject({ level: "error", what: /^nobody guards IPv6, over which tcp\/22/ });
  });

  it("finds a proxy that hides the client, and one that everybody may claim to be", async () => {
    await using hidden = await Clinic.open();
    await hidden.up();
    await hidden.start("up", "-e", PROXY);
    const { of } = await hidden.doctor(hidden.client, "--url", `http://${SERVER}:81${PATH}`);
    expect(of("way in")[0]).toMatchObject({
      level: "error",
      what: /^the gateway takes the address of a proxy, 198\.51\.100\.1,/,
      mend: /trustedProxies: \["198\.51\.100\.1"\]/,
    });
    const wrong = await hidden.doctor(hidden.client, "--url", `http://${SERVER}:82${PATH}`);
    expect(wrong.of("way in")).toMatchObject([{ level: "error", what: /ECONNREFUSED/ }]);

    await using wide = await Clinic.open((lines) =>
      lines.map((line) =>
        line.replace("keys: keys.json", 'keys: keys.json, trustedProxies: ["198.51.100.0/24", "::/0"]'),
      ),
    );
    await wide.up();
    const believed = await wide.doctor(wide.client, "--url", `http://${SERVER}${PATH}`);
    expect(believed.of("gateway")[0]).toMatchObject({
      level: "error",
      what: /::\/0, which takes everybody for a proxy/,
    });
    expect(believed.bad.map(({ what }) => what)).toContainEqual(
      expect.stringContaining("believes an X-Forwarded-For that we made up"),
    );
  });

  it("finds a certificate that has ended, a mail server that is not there, and a store that is damaged", async () => {
    await using clinic = await Clinic.open((lines) => [
      ...lines.map((line) => line.replace("keys: keys.json", "keys: keys.json, tls: { cert: cert.pem, key: key.pem }")),
      "notify: [{ use: smtp-email, host: 127.0.0.1, port: 2525, from: a@example.org, to: [b@example.org] }]",
    ]);
    await endedCertificate(clinic.host.dir);
    await chmod(clinic.host.path("key.pem"), 0o600);
    const ended = await clinic.up();
    await ended();
    const store = await open(clinic.host.path("state", "wkfs.db"), "r+");
    await store.write(Buffer.alloc(2000, 0xff), 0, 2000, 4096);
    await store.close();
    const { of } = await clinic.doctor();
    expect(of("certificate")).toMatchObject([{ level: "error", what: /cert\.pem ended 2024-02-01$/ }]);
    expect(of("mail")).toMatchObject([
      { level: "error", what: /^no mail server answers at 127\.0\.0\.1:2525: .*ECONNREFUSED/ },
    ]);
    expect(of("store")).toMatchObject([{ level: "error", what: /^the store .* is damaged/ }]);
  });

  it("says what is wrong with a configuration that cannot be used, and looks at the rest", async () => {
    await using clinic = await Clinic.open((lines) => lines.map((line) => line.replace("protect:", "protekt:")));
    const { code, of, findings } = await clinic.doctor();
    expect(code).toBe(1);
    expect(of("configuration")).toMatchObject([
      { level: "error", what: /wkfs\.yaml:1: unknown key "protekt"; did you mean "protect"/ },
    ]);
    expect(findings.map(({ check }) => check)).toContain("clock");
  });
});
