import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Sandbox } from "../testing/wkfs.ts";

const HEAVY = /node_modules\/(restify|inversify|@inversifyjs|nodemailer|reflect-metadata|pino)\//;
const NOT_FOR_HELP = /node_modules\/(restify|inversify|@inversifyjs|nodemailer|reflect-metadata|zod|yaml|pino)\//;
const COMMANDS = [
  "serve",
  "daemon",
  "client",
  "client info",
  "client open",
  "activate",
  "confirm",
  "rescue",
  "panic",
  "uninstall",
  "client close",
  "client install",
  "client export",
  "autocomplete",
  "status",
  "reload",
  "doctor",
  "leases",
  "open",
  "close",
  "history",
  "events",
  "config check",
  "config schema",
  "plugins",
  "plugins create",
  "plugins inspect",
  "plugins install",
  "plugins link",
  "plugins uninstall",
  "plugins update",
  "install server",
];
/** Their standard output is another's. */
const WITHOUT_JSON = ["client proxy", "client run"];

let sandbox: Sandbox;
beforeAll(async () => void (sandbox = await Sandbox.create()));
afterAll(async () => await sandbox[Symbol.asyncDispose]());

describe("the help", () => {
  it.concurrent.each(COMMANDS)("of `wkfs %s` has a description, exit codes and examples", async (command) => {
    const { code, stdout } = await sandbox.wkfs(...command.split(" "), "--help");
    expect(code).toBe(0);
    expect(stdout).toContain(`$ wkfs ${command}`);
    for (const part of ["DESCRIPTION", "Exit codes:", "EXAMPLES", "--json"]) expect(stdout).toContain(part);
  });

  it.concurrent.each(WITHOUT_JSON)("of `wkfs %s` too, but for --json", async (command) => {
    const { code, stdout } = await sandbox.wkfs(...command.split(" "), "--help");
    expect(code).toBe(0);
    for (const part of [`$ wkfs ${command}`, "DESCRIPTION", "Exit codes:", "EXAMPLES"]) expect(stdout).toContain(part);
    expect(stdout).not.toContain("--json");
  });

  it("lists the commands, and loads none of them for that", async () => {
    const { code, stdout, modules } = await sandbox.recorded("--help");
    expect(code).toBe(0);
    for (const command of ["client", "daemon", "install", "plugins", "serve"]) expect(stdout).toContain(command);
    expect(modules).toContain("/cli/bin/run.js");
    expect(modules).toMatch(/^node_modules\/@oclif\/core\//m);
    expect(modules).not.toMatch(/\/cli\/bundle\/commands\/|cli\/dist\/commands\//);
    expect(modules).not.toMatch(NOT_FOR_HELP);
  });
});

describe("wrong use", () => {
  it.concurrent.each([
    ["no-such-command"],
    ["client", "open", "--tcp", "0"],
    ["client", "open", "--time", "never"],
    ["serve", "stray"],
    ["client", "install"],
    ["client", "proxy", "host", "0"],
    ["client", "run"],
  ])("ends with 2, the error and a hint on stderr: %s %s %s %s", async (...args) => {
    const { code, stdout, stderr } = await sandbox.wkfs(...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(/^Error: .*\n(.*\n)*Hint: /);
  });
});

describe.concurrent("the client", () => {
  it("keeps on trying until SIGTERM, ends with 0, and loads nothing heavy", async () => {
    await using own = await Sandbox.create();
    await installClient(own);
    const client = own.start(["client"], true);
    await client.says("stderr", /^\S+Z failed, next try in .*Error: .*Hint: .*\n/);
    client.kill("SIGTERM");
    expect(await client.ended).toMatchObject({ code: 0, stdout: "" });
    const modules = await client.modules();
    expect(modules).not.toMatch(HEAVY);
    // All of it is in the bundle: nothing is looked for in node_modules, which would take longer than a knock.
    expect(modules).toContain("/cli/bundle/client-side.js");
    expect(modules).toMatch(/^node_modules\/zod\//m);
    expect(modules).not.toMatch(/^file:.*\/(node_modules|dist)\//m);
  });

  it.each([
    ["client", "proxy", "127.0.0.1", "1"],
    ["client", "run", "--", "true"],
    ["client", "close"],
  ])("loads nothing heavy for %s %s", async (...args) => {
    await using own = await Sandbox.create();
    await installClient(own);
    const { code, modules } = await own.recorded(...args);
    expect(code).toBe(3);
    expect(modules).toContain("/cli/bundle/client-side.js");
    expect(modules).not.toMatch(HEAVY);
    expect(modules).not.toMatch(/node_modules\/@?inquirer/);
    expect(modules).not.toMatch(/^file:.*\/(node_modules|dist)\//m);
  });

  it("reports as lines of JSON", async () => {
    await using own = await Sandbox.create();
    await installClient(own);
    const client = own.start(["client", "--json"]);
    await client.says("stdout", /\n/);
    client.kill("SIGINT");
    const { code, stdout } = await client.ended;
    expect(code).toBe(0);
    expect(JSON.parse(stdout.split("\n")[0]!)).toMatchObject({ type: "failed", error: { code: "SERVER_UNREACHABLE" } });
  });

  async function installClient(own: Sandbox): Promise<void> {
    await own.wkfs(
      "install",
      "server",
      "--tcp",
      "22",
      "--dir",
      "etc",
      "--state-dir",
      "state",
      "--listen",
      "127.0.0.1:1",
    );
    const { code } = await own.wkfs(
      "client",
      "install",
      "--url",
      "http://127.0.0.1:1/x",
      "--keys",
      "etc/client/v1.json",
    );
    expect(code).toBe(0);
  }
});
