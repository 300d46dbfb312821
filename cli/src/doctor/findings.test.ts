import { execFileSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { WkfsError } from "@wkfs/core";
import type { DaemonReport } from "@wkfs/core/daemon";
import { newRecord, recordIn } from "@wkfs/core/rescue";
import { describe, expect, it } from "vitest";
import { certificateFindings } from "./certificate.ts";
import { clockFindings } from "./clock.ts";
import { configurationFindings } from "./configuration.ts";
import { daemonFindings, whyNever } from "./daemon.ts";
import type { Found } from "./finding.ts";
import { gatewayFindings, isUnguessable } from "./gateway.ts";
import { kernelFindings, probesFor } from "./kernel.ts";
import { forwardedPorts, otherFindings } from "./other-firewalls.ts";
import { permissionFindings } from "./permissions.ts";
import { reportLines } from "./report.ts";
import { serviceFindings } from "./services.ts";
import { smtpFindings } from "./smtp.ts";
import type { SmtpTalk } from "./smtp-dialogue.ts";
import { storeFindings } from "./store.ts";
import { wayInFindings } from "./way-in.ts";

const levels = (found: readonly Found[]) => found.map(({ level }) => level);
const PROTECT = { tcp: [22, 5432], udp: [1194] };

describe("the clock", () => {
  const chrony = (off: string, status: string) =>
    `A9FEA97B,169.254.169.123,4,1764100000.1,${off},0.0,0.0,1.0,0.0,0.1,0.1,0.1,64.0,${status}\n`;
  it.each([
    ["chrony is content", { chronyc: chrony("0.000004", "Normal") }, "ok"],
    ["chrony knows that it is far off", { chronyc: chrony("-9.5", "Normal") }, "error"],
    ["chrony has nobody to ask", { chronyc: chrony("0.0", "Not synchronised") }, "error"],
    ["systemd says yes", { timedatectl: "yes\n" }, "ok"],
    ["systemd says no", { timedatectl: "no\n" }, "error"],
    ["systemd-timesyncd left its mark", { timesyncd: true }, "ok"],
    ["nobody says", {}, "note"],
  ])("%s", (_, facts, level) => {
    const found = clockFindings({ timedatectl: undefined, chronyc: undefined, timesyncd: false, ...facts });
    expect(levels(found)).toEqual([level]);
  });
});

describe("permissions", () => {
  const entry = { path: "/etc/wkfs/v1.json", kind: "secret", mode: 0o600, missing: false, above: undefined } as const;
  it.each([
    ["a private secret", entry, ["ok"]],
    ["a secret for the group", { ...entry, mode: 0o640 }, ["ok"]],
    ["a secret that all can read", { ...entry, mode: 0o604 }, ["error"]],
    ["a secret that the group can write", { ...entry, mode: 0o660 }, ["error"]],
    ["a configuration that all can read", { ...entry, kind: "trusted", mode: 0o644 }, ["ok"]],
    ["a configuration that all can write", { ...entry, kind: "trusted", mode: 0o646 }, ["error"]],
    ["a secret that is missing", { ...entry, mode: undefined, missing: true }, ["error"]],
    ["a folder that is not there yet", { ...entry, kind: "folder", mode: undefined, missing: true }, ["ok"]],
    ["one that we may not look at", { ...entry, mode: undefined }, ["ok", "note"]],
    [
      "a folder above that others can write",
      { ...entry, above: "/etc/wkfs can be written by others (mode 0777)" },
      ["warning"],
    ],
  ] as const)("%s", (_, one, expected) => expect(levels(permissionFindings([one]))).toEqual(expected));

  it("name the folder above that is to be mended", () => {
    const [found] = permissionFindings([{ ...entry, above: "/etc/wkfs belongs to another user (uid 7)" }]);
    expect(found?.mend).toBe("chown root: /etc/wkfs");
  });
});

describe("the configuration", () => {
  it("is told with what its error says", () => {
    const fault = new WkfsError("CONFIG_INVALID", "/etc/wkfs/wkfs.yaml:3: no", { hint: "Mend it." });
    expect(configurationFindings("f", fault, [])).toEqual([{ level: "error", what: fault.message, mend: "Mend it." }]);
    const parts = [
      { use: "a", where: "f:1", fault: undefined },
      { use: "b", where: "f:2", fault },
    ];
    expect(levels(configurationFindings("f", undefined, parts))).toEqual(["error"]);
    expect(configurationFindings("f", undefined, parts.slice(0, 1))[0]?.what).toBe("f is right: a");
  });
});

describe("the daemon", () => {
  const report = {
    pid: 7,
    since: 0,
    now: 1,
    protect: { ...PROTECT, maxTime: 60 },
    leases: 3,
    mostLeases: 100,
    transport: ["127.0.0.1:1"],
    store: "sqlite",
    notifiers: [],
    latest: [],
    drift: [],
    firewalls: [{ name: "nftables", families: ["ipv4"], expiry: "kernel", missing: [] }],
  } as unknown as DaemonReport;
  const of = (change: object) =>
    levels(daemonFindings({ control: { answer: { ...report, ...change } }, transport: undefined }));

  it("is well, or says itself what is not", () => {
    expect(of({})).toEqual(["ok"]);
    expect(of({ leases: 95 })).toEqual(["ok", "warning"]);
    expect(of({ notifiers: [{ name: "mail", waiting: 2, failures: 3 }] })).toEqual(["ok", "warning"]);
    expect(of({ firewalls: [{ ...report.firewalls[0], missing: ["the set is gone"] }] })).toEqual(["ok", "error"]);
    expect(of({ firewalls: [{ ...report.firewalls[0], error: "nft is gone" }] })).toEqual(["ok", "error"]);
  });

  it("is not started where the activation was ended: a start would not guard", async () => {
    const folder = await mkdtemp(join(tmpdir(), "wkfs-ended-"));
    try {
      expect(await whyNever(folder)).toBeUndefined();
      const parts = { until: 0, seconds: 60, bootId: "one", config: "wkfs.yaml", confirmBy: "knock" } as const;
      await recordIn(folder).write(newRecord({ ...parts, stage: "ended" }));
      const never = await whyNever(folder);
      const [first] = daemonFindings({ control: { failure: "gone", hint: undefined }, never, transport: undefined });
      expect(first).toMatchObject({ level: "error", mend: "wkfs activate" });
      await recordIn(folder).write(newRecord({ ...parts, stage: "confirmed" }));
      expect(await whyNever(folder)).toBeUndefined();
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it("answers a gateway in the words of the protocol", () => {
    const by = (reply: object) =>
      levels(
        daemonFindings({ control: undefined, transport: { addresses: ["a"], reply: reply as { answer: string } } }),
      );
    expect(by({ answer: '{"success":false,"errorcode":"missing_ports"}' })).toEqual(["note", "ok"]);
    expect(by({ answer: "SSH-2.0" })).toEqual(["note", "error"]);
    expect(by({ failure: "refused", hint: undefined })).toEqual(["note", "error"]);
  });
});

describe("the gateway's section", () => {
  const section = {
    listen: "127.0.0.1:8080",
    path: "/8f3c0c5e9b2a4d71",
    trustedProxies: ["127.0.0.1"],
    workers: 1,
    tls: undefined,
  };
  it.each([
    ["all is well", {}, ["ok"]],
    ["the path can be guessed", { path: "/knock" }, ["warning"]],
    ["everybody is a proxy", { trustedProxies: ["::/0"] }, ["error"]],
    ["more than one's own are proxies", { trustedProxies: ["10.0.0.0/8", "128.0.0.0/2"] }, ["warning"]],
    ["it listens for all in clear", { listen: "0.0.0.0:80" }, ["note"]],
    ["it listens for all by TLS", { listen: "0.0.0.0:443", tls: { cert: "c", key: "k" } }, ["ok"]],
  ])("%s", (_, change, expected) => expect(levels(gatewayFindings({ ...section, ...change }, "f"))).toEqual(expected));

  it("has a path that nobody guesses when a part of it is long and random", () => {
    expect(["/a/3e1f00ab99c2d4", "/9b2a4d718f3c0c5e9b2a"].map(isUnguessable)).toEqual([true, true]);
    expect(["/", "/knock", "/administration", "/000000000000", "/2024-2025"].map(isUnguessable)).not.toContain(true);
  });
});

describe("the way in", () => {
  const way = {
    url: "https://gate.example.org/x",
    seen: { answer: "192.0.2.7" },
    forged: undefined,
    from: "192.0.2.7",
    server: ["198.51.100.1"],
  };
  it.each([
    ["we are seen as we are", {}, ["ok"]],
    ["a proxy of the same host is seen", { seen: { answer: "127.0.0.1" } }, ["error"]],
    ["the server's own address is seen", { seen: { answer: "198.51.100.1" } }, ["error"]],
    ["a load balancer is seen", { seen: { answer: "10.1.2.3" } }, ["error"]],
    ["we are behind NAT", { seen: { answer: "203.0.113.1" }, from: "10.0.0.7" }, ["note"]],
    ["what we make up is believed", { forged: { answer: "203.0.113.77" } }, ["ok", "error"]],
    ["what we make up is not believed", { forged: { answer: "192.0.2.7" } }, ["ok"]],
    ["nobody answers", { seen: { failure: "no", hint: "h" } }, ["error"]],
    ["it is in clear", { url: "http://gate.example.org/x" }, ["ok", "note"]],
  ])("%s", (_, change, expected) => expect(levels(wayInFindings({ ...way, ...change }, "f"))).toEqual(expected));
});

describe("the kernel", () => {
  const probed = (use: string, at: number, ran: object | undefined, config = {}) =>
    kernelFindings([
      { use, probe: probesFor(use, config)[at]!, ran: ran && { code: 1, stdout: "", stderr: "", ...ran } },
    ]);
  it("lacks what a rule shows that it does not take", () => {
    expect(probed("nftables", 0, { code: 0 })[0]?.level).toBe("ok");
    expect(probed("nftables", 0, { stderr: "Error: Could not process rule: Operation not supported\n" })).toMatchObject(
      [{ level: "error", mend: /^modprobe nf_tables/ }],
    );
    expect(probed("nftables", 2, { stderr: "Error: no such meta key" })[0]?.level).toBe("warning");
    expect(probed("iptables", 2, { stderr: "sh: 1: ipset: not found" })).toMatchObject([
      { level: "warning", mend: "apt-get install ipset iptables" },
    ]);
    expect(probed("iptables", 2, { stderr: "no" }, { ipset: "always" })[0]?.level).toBe("error");
    expect(probed("ip6tables", 0, { stderr: "unshare: unshare failed: Operation not permitted" })[0]?.level).toBe(
      "note",
    );
    expect(probed("iptables", 1, undefined)[0]?.level).toBe("note");
  });

  it("is asked for no sets where none are used, and for nothing by packet filters of others", () => {
    expect(probesFor("iptables", { ipset: "never" }).map(({ name }) => name)).not.toContain("ip_set, xt_set");
    expect(probesFor("exec-firewall")).toEqual([]);
  });
});

describe("other firewalls", () => {
  const none = {
    others: { firewalld: false, ufw: false, docker: false },
    legacyBeside: false,
    texts: [],
    protect: PROTECT,
  };
  it("are noted, and their forwarding of a protected port is an error", () => {
    expect(levels(otherFindings(none))).toEqual(["ok"]);
    expect(
      levels(otherFindings({ ...none, others: { firewalld: true, ufw: true, docker: true }, legacyBeside: true })),
    ).toEqual(["warning", "note", "note", "note"]);
    const texts = [
      "*nat\n-A DOCKER ! -i docker0 -p tcp -m tcp --dport 5432 -j DNAT --to-destination 172.17.0.2:5432\n",
    ];
    expect(otherFindings({ ...none, texts })).toMatchObject([
      { level: "error", what: /^tcp\/5432 is open to everybody/ },
    ]);
    expect(levels(otherFindings({ ...none, texts: [texts[0]!.replaceAll("5432", "80")] }))).toEqual(["ok"]);
  });

  it("forward no port of others that they publish for the host alone", () => {
    const line =
      "-A DOCKER -d 127.0.0.1/32 ! -i docker0 -p tcp -m tcp --dport 5432 -j DNAT --to-destination 172.17.0.2:5432";
    expect(forwardedPorts([line])).toEqual([]);
    expect(forwardedPorts([line.replace("-d 127.0.0.1/32 ", "").replace("-p tcp -m tcp", "-p udp -m udp")])).toEqual([
      { port: { protocol: "udp", number: 5432 }, to: "172.17.0.2:5432" },
    ]);
  });
});

describe("services", () => {
  const sshd = { protocol: "tcp", port: 22, addresses: ["0.0.0.0", "::"], programs: ["sshd"], local: false } as const;
  const facts = { protect: { tcp: [22], udp: [] }, listeners: [sshd], guarded: ["ipv4", "ipv6"] as const, ipv6: true };
  it.each([
    ["all is well", {}, ["ok", "ok"]],
    ["nothing listens", { listeners: [] }, ["note", "ok"]],
    ["it listens for the host alone", { listeners: [{ ...sshd, local: true }] }, ["note", "ok"]],
    ["IPv6 is open", { guarded: ["ipv4"] as const }, ["ok", "error"]],
    ["IPv6 has no service yet", { guarded: ["ipv4"] as const, listeners: [] }, ["note", "warning"]],
    ["there is no IPv6", { guarded: ["ipv4"] as const, ipv6: false }, ["ok", "note"]],
    ["IPv4 is open", { guarded: ["ipv6"] as const }, ["ok", "error", "ok"]],
  ])("%s", (_, change, expected) => expect(levels(serviceFindings({ ...facts, ...change }))).toEqual(expected));
});

describe("mail", () => {
  const NOW = Date.UTC(2026, 0, 1);
  const server = { host: "mail.example.org", port: 587, secure: false, requireTLS: true };
  const talk: SmtpTalk = {
    server,
    reached: "encrypted",
    failure: undefined,
    startTls: true,
    distrust: undefined,
    until: NOW + 1e11,
  };
  it.each([
    ["all is well", {}, "ok"],
    ["nobody is there", { reached: "nothing", failure: "ECONNREFUSED" }, "error"],
    ["it says no", { reached: "connected", failure: "it said: 554 no" }, "error"],
    ["it has no TLS, and must", { reached: "greeted", startTls: false }, "error"],
    [
      "it has no TLS, and need not",
      { reached: "greeted", startTls: false, server: { ...server, requireTLS: false } },
      "warning",
    ],
    ["its certificate is nobody's", { distrust: "DEPTH_ZERO_SELF_SIGNED_CERT" }, "error"],
    [
      "nobody looks at its certificate",
      { distrust: "CERT_HAS_EXPIRED", server: { ...server, requireTLS: false } },
      "ok",
    ],
    ["its certificate ends soon", { until: NOW + 86_400_000 }, "warning"],
  ] as const)("%s", (_, change, level) => expect(levels(smtpFindings({ ...talk, ...change }, NOW))).toEqual([level]));
});

describe("the store", () => {
  const facts = { path: "/var/lib/wkfs/wkfs.db", size: 8192, free: 1e10, checked: { said: "ok" } };
  it.each([
    ["all is well", {}, "ok"],
    ["it was never made", { size: undefined, checked: undefined }, "note"],
    ["it is damaged", { checked: { said: "row 3 missing from index" } }, "error"],
    ["it is none", { checked: { failure: "file is not a database" } }, "error"],
    ["it may not be read", { checked: { failure: "unable to open database file" } }, "note"],
    ["the disk is full", { free: 1000 }, "error"],
  ])("%s", (_, change, level) => expect(levels(storeFindings({ ...facts, ...change }))).toEqual([level]));
});

describe("the certificate", async () => {
  const folder = await mkdtemp(join(tmpdir(), "certificate-"));
  const make = (name: string) => {
    const subject = ["-subj", `/CN=${name}`, "-addext", `subjectAltName=DNS:${name}`, "-days", "30"];
    const files = ["-keyout", join(folder, `${name}.key`), "-out", join(folder, `${name}.pem`)];
    const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    execFileSync("openssl", ["req", "-x509", "-nodes", ...curve, ...subject, ...files], { stdio: "ignore" });
    return {
      cert: readFileSync(join(folder, `${name}.pem`), "utf8"),
      key: readFileSync(join(folder, `${name}.key`), "utf8"),
    };
  };
  const [one, other] = [make("gate.example.org"), make("other.example.org")];
  await rm(folder, { recursive: true });
  const DAY = 86_400_000;
  const facts = {
    cert: "cert.pem",
    key: "key.pem",
    certText: one.cert,
    keyText: one.key,
    name: "gate.example.org",
    now: Date.now() + DAY,
  };
  it.each([
    ["all is well", {}, ["ok"]],
    ["it ends soon", { now: Date.now() + 20 * DAY }, ["warning"]],
    ["it has ended", { now: Date.now() + 31 * DAY }, ["error"]],
    ["it has not begun", { now: Date.now() - DAY }, ["error"]],
    ["it is for another name", { name: "www.example.org" }, ["error"]],
    ["no name is known", { name: undefined }, ["ok"]],
    ["the key is another's", { keyText: other.key }, ["error"]],
    ["the key may not be read", { keyText: new Error("EACCES") }, ["error"]],
    ["it is none", { certText: "nothing" }, ["error"]],
    ["it may not be read", { certText: new Error("EACCES") }, ["error"]],
  ])("%s", (_, change, expected) => expect(levels(certificateFindings({ ...facts, ...change }))).toEqual(expected));
});

describe("the report", () => {
  const findings = [
    { check: "clock", level: "ok", what: "right" },
    { check: "mail", level: "error", what: "two\nlines", mend: "mend\tit" },
    { check: "clock", level: "note", what: "by hand" },
  ] as const;

  it("is a line a finding in a pipe, whatever stands in it", () => {
    expect(reportLines(findings, false, false)).toEqual([
      "clock\tok\tright",
      "mail\terror\ttwo lines\tmend it",
      "clock\tnote\tby hand",
    ]);
  });

  it("is grouped on a terminal, in colour where that is wanted", () => {
    const plain = reportLines(findings, true, false);
    expect(plain).toEqual([
      "clock",
      "  ok      right",
      "  note    by hand",
      "mail",
      "  ERROR   two\nlines",
      "          → mend\tit",
      "",
      "1 error, 0 warnings.",
    ]);
    const coloured = reportLines(findings, true, true);
    expect(coloured[1]).toBe("  \u001B[32mok      \u001B[0mright");
    expect(coloured.map((line) => stripVTControlCharacters(line))).toEqual(plain);
    expect(reportLines(findings.slice(0, 1), true, false).at(-1)).toBe("All is well.");
  });

  it.each([true, false])("has nothing of others that steers a terminal: %s", (terminal) => {
    const hostile = { check: "mail", level: "error", what: "\u001B[2J250 ok", mend: "\u009B2J" } as const;
    const lines = reportLines([hostile], terminal, false).join("\n");
    expect(lines).toContain(String.raw`\x1b[2J250 ok`);
    for (const character of "\u001B\u009B") expect(lines).not.toContain(character);
  });
});
