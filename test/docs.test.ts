import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { AnyPlugin } from "@wkfs/core";
import { checkServerConfig, loadClientConfig } from "@wkfs/core/config";
import { describe, expect, it } from "vitest";
import { parseYaml } from "../core/src/config/source.ts";
import { serverKeys } from "../scripts/reference/keys.ts";
import { PAGES, blocks, ofLanguage, root, textOf } from "./support/pages.ts";

/** What the headings of a page are called in links, as GitHub makes it of them: lower case, no punctuation, dashes for spaces. */
function anchorsOf(page: string): string[] {
  const prose = textOf(page).replaceAll(/^```[^]*?^```$/gm, "");
  return Array.from(prose.matchAll(/^#+ (.*)$/gm), ([, heading]) =>
    heading!
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

describe("links and paths", () => {
  it.each(PAGES)("%s links to what is there", (page) => {
    const targets = [...textOf(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!);
    const missing = targets.filter((target) => {
      if (/^https?:/.test(target)) return false;
      const [file = "", heading] = target.split("#");
      const path = file === "" ? page : join(dirname(page), file);
      return !existsSync(join(root, path)) || (heading !== undefined && !anchorsOf(path).includes(heading));
    });
    expect(missing).toEqual([]);
  });

  it.each(PAGES)("%s names only files of this repository that are there", (page) => {
    const named = [...textOf(page).matchAll(/`((?:core|plugins|cli|test|scripts|\.ci)\/[\w./-]+)`/g)];
    const paths = named.map(([, path]) => path!);
    expect(paths.filter((path) => !existsSync(join(root, path)))).toEqual([]);
    if (page === "ARCHITECTURE.md") expect(paths.length).toBeGreaterThan(20);
  });
});

/** What is looked at of a command, as oclif has it. */
interface Command {
  readonly id: string;
  readonly flags: Readonly<
    Record<
      string,
      { readonly name: string; readonly char?: string; readonly required?: boolean; readonly allowNo?: boolean }
    >
  >;
  readonly args: object;
}
interface Oclif {
  readonly Config: { load(options: { root: string }): Promise<{ findCommand(id: string): Command | undefined }> };
}

describe("commands", async () => {
  // The cli's own dependency, so it is looked for from there.
  const oclif = createRequire(join(root, "cli", "package.json")).resolve("@oclif/core");
  const { Config } = (await import(oclif)) as Oclif;
  const config = await Config.load({ root: join(root, "cli") });
  const commands = blocks.flatMap(({ page, language, text }) => {
    if (language !== "sh" && language !== "ini") return [];
    const lines = text.replaceAll(/\\\n\s*/g, " ").split("\n");
    return lines.flatMap((line) => {
      const [, command] = /^(?:setpriv .* |ExecStart=\/usr\/local\/bin\/)?wkfs ([^#&|;>]*)/.exec(line) ?? [];
      return command === undefined || command.trim() === "--version" ? [] : [{ page, line: `wkfs ${command.trim()}` }];
    });
  });

  it("are found", () => expect(commands.length).toBeGreaterThan(15));

  it.each(commands)("$page: $line", async ({ line }) => {
    // What stands behind -- is another program's.
    const words = line
      .replace(/ -- .*/, "")
      .split(/\s+/)
      .slice(1);
    const firstFlag = words.findIndex((word) => word.startsWith("-"));
    const names = firstFlag === -1 ? words : words.slice(0, firstFlag);
    const known = config.findCommand(names.slice(0, 2).join(":")) ?? config.findCommand(names[0] ?? "");
    expect(known, `no command ${names.join(" ")}`).toBeDefined();
    const { flags, args } = known!;
    const flagNames = words.flatMap((word) => /^--([\w-]+)/.exec(word)?.[1] ?? []);
    const isFlag = (name: string) => Object.hasOwn(flags, name) || flags[name.replace(/^no-/, "")]?.allowNo === true;
    expect(flagNames.filter((name) => !isFlag(name) && name !== "json" && name !== "help")).toEqual([]);
    const letters = words.flatMap((word) => /^-(\w)$/.exec(word)?.[1] ?? []);
    expect(letters.filter((letter) => !Object.values(flags).some(({ char }) => char === letter))).toEqual([]);
    const free = names.slice(known!.id.split(":").length);
    if (Object.keys(args).length === 0) expect(free).toEqual([]);
    const needed = Object.values(flags).filter(({ required }) => required);
    expect(needed.filter(({ name }) => !flagNames.includes(name)).map(({ name }) => name)).toEqual([]);
  });

  it.each(
    ofLanguage("sh").flatMap(({ page, text }) => [...text.matchAll(/npm run ([\w:-]+)/g)].map((m) => [page, m[1]!])),
  )("%s: npm run %s", (_page, script) => {
    expect(Object.keys(JSON.parse(textOf("package.json")).scripts)).toContain(script);
  });
});

describe("configurations", () => {
  // Of a plugin its page shows the section that is about it.
  const yaml = ofLanguage("yaml").filter(({ page }) => page === "README.md" || page.startsWith("docs/"));

  it.each(yaml)("of $page: $text", async ({ page, text }) => {
    const shown = parseYaml(text, page).value as object;
    const value = page.startsWith("docs/plugins/") ? { ...sections, ...shown } : shown;
    if ("url" in value) {
      const folder = await mkdtemp(join(tmpdir(), "wkfs-docs-"));
      try {
        await writeFile(join(folder, "client.yaml"), text);
        await expect(loadClientConfig(join(folder, "client.yaml"))).resolves.toBeDefined();
      } finally {
        await rm(folder, { recursive: true });
      }
      return;
    }
    const config = await checkServerConfig(value);
    for (const { use, config: own } of [config.transport, ...config.firewall, config.store, ...config.notify].filter(
      (one) => one !== undefined,
    )) {
      if (IN_MEMORY.includes(use)) continue;
      const { default: plugin } = (await import(`@wkfs/${use}`)) as { default: AnyPlugin };
      expect({ use, issues: (await plugin.configSchema["~standard"].validate(own)).issues }).toEqual({ use });
    }
  });

  it("a page of a plugin names every key of it", async () => {
    const { plugins } = await serverKeys();
    const pages = plugins.filter(({ name }) => PAGES.includes(`docs/plugins/${name}.md`));
    expect(pages.length).toBeGreaterThan(3);
    for (const { name, keys } of pages) {
      const text = textOf(`docs/plugins/${name}.md`);
      const missing = keys.map(({ path }) => path).filter((path) => !text.includes(`\`${path}\``));
      expect({ name, missing }).toEqual({ name, missing: [] });
    }
  });
});

/** What the plugins of PLUGINS.md are shown with. */
const IN_MEMORY = ["fw", "st", "tr"];
const sections = { protect: { tcp: [22] }, firewall: [{ use: "fw" }], store: { use: "st" }, transport: { use: "tr" } };
