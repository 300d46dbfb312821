import { execFileSync, spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { clientKeys, serverKeys } from "./keys.ts";
import { FOLDER, manPages, named } from "./man.ts";
import { PAGE, page } from "./page.ts";

const cli = fileURLToPath(new URL("../../cli", import.meta.url));
const { keys, plugins } = await serverKeys();
const pages = await manPages();

describe("the reference of the configuration", () => {
  it("is what the schemas say", async () => {
    expect(await readFile(PAGE, "utf8"), "Write it anew with: npm run reference").toBe(await page());
  });

  it.each([
    ["the server", keys] as const,
    ["the client", clientKeys()] as const,
    ...plugins.map((plugin) => [plugin.name, plugin.keys] as const),
  ])("says of every key of %s what it means", (name, described) => {
    expect(described.filter(({ meaning }) => meaning === "").map(({ path }) => path)).toEqual([]);
    if (name !== "memory") expect(described.length).toBeGreaterThan(0);
  });

  it("describes no key that is none", async () => {
    const { CLIENT_KEYS, SERVER_KEYS } = await import("../../core/src/config/descriptions.ts");
    const known = (all: typeof keys) => all.map(({ path }) => path).toSorted();
    expect(Object.keys(SERVER_KEYS).toSorted()).toEqual(known(keys));
    expect(Object.keys(CLIENT_KEYS).toSorted()).toEqual(known(clientKeys()));
  });
});

/** What lints find in a page; a date is not among it, since the same sources are to make the same bytes. */
function faults(file: string): string[] {
  const lint = spawnSync("mandoc", ["-T", "lint", "-W", "warning", file], { encoding: "utf8" });
  const groff = spawnSync("groff", ["-ww", "-z", "-man", "-Tutf8", file], { encoding: "utf8" });
  return [lint.stdout, lint.stderr, groff.stderr]
    .flatMap((text) => text.split("\n"))
    .filter((line) => line !== "" && !line.includes("WARNING: missing date"));
}

const missing = ["mandoc", "groff", "man"].filter((program) => spawnSync(program, ["--version"]).error !== undefined);
const skipped = missing.length === 0 ? "" : ` (skipped: ${missing.join(" and ")} is not installed)`;

describe.skipIf(missing.length > 0)(`the man pages, as lints and man(1) read them${skipped}`, () => {
  let folder: string;
  beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), "wkfs-man-"))));
  afterAll(async () => await rm(folder, { recursive: true }));
  const written = async (file: string, text: string) => {
    await writeFile(join(folder, file), text);
    return join(folder, file);
  };

  it.each([...pages])("%s has no fault", async (file, text) => {
    expect(faults(await written(file, text))).toEqual([]);
  });

  it("the lints find a fault that is there", async () => {
    expect(faults(await written("bad.1", `${pages.get("wkfs.1")!}.NOSUCH macro\n`)).join("\n")).toContain("NOSUCH");
  });

  it("show a command as its help does", async () => {
    const file = await written("wkfs-client-open.1", pages.get("wkfs-client-open.1")!);
    const env = { ...process.env, MANWIDTH: "200", LC_ALL: "C", MAN_KEEP_FORMATTING: "" };
    const shown = execFileSync("man", ["-l", file], { encoding: "utf8", env });
    for (const part of [
      "wkfs-client-open - Knock once",
      "--tcp=N",
      "Environment: WKFS_CONFIG.",
      "wkfs client open --tcp 22 --time 2m && ssh server.example.org",
    ])
      expect(shown).toContain(part);
    expect(shown).toMatch(/EXIT STATUS\n +0 +done/);
  });

  it.each([
    ["client-run", "wkfs client run [-c FILE] [--tcp N...] [--udp N...] [--time TIME] [--no-close] -- CMD..."],
    ["client-proxy", "wkfs client proxy HOST PORT [-c FILE]"],
    ["plugins-update", "wkfs plugins update [PLUGIN...] [--json]"],
    ["uninstall", "wkfs uninstall [--json] [-c FILE] [--state-dir DIR] [--[no-]purge]"],
  ])("say how %s is called", async (name, synopsis) => {
    const file = await written(`wkfs-${name}.1`, pages.get(`wkfs-${name}.1`)!);
    const shown = execFileSync("man", ["-l", file], { encoding: "utf8", env: { ...process.env, MANWIDTH: "200" } });
    expect(shown.replaceAll(/ +/g, " ")).toContain(` ${synopsis}\n`);
  });
});

describe("the package", () => {
  it("has a page for every command, and names it, so that npm puts it into place", async () => {
    const { man, files } = JSON.parse(await readFile(join(cli, "package.json"), "utf8")) as Record<string, string[]>;
    expect(man, "Name them with: npm run man").toEqual(named(pages));
    expect(files).toContain("man");
    expect([...pages.keys()]).toEqual(expect.arrayContaining(["wkfs.1", "wkfs-daemon.1", "wkfs-client-open.1"]));
  });

  it("has them as the sources say", async () => {
    for (const [file, text] of pages) expect(await readFile(join(FOLDER, file), "utf8")).toBe(text);
  });
});
