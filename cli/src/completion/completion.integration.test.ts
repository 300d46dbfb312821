import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Sandbox } from "../../testing/wkfs.ts";

/** A shell at a terminal of its own, to which keys are typed. script(1) makes the terminal. */
class Terminal implements AsyncDisposable {
  readonly #child;
  #shown = "";
  #heard: (() => void) | undefined;

  constructor(command: string, sandbox: Sandbox) {
    const env = { HOME: sandbox.dir, PATH: process.env["PATH"], TERM: "dumb", LC_ALL: "C.UTF-8" };
    this.#child = spawn("script", ["-qefc", command, "/dev/null"], { stdio: "pipe", cwd: sandbox.dir, env });
    this.#child.stdout.setEncoding("utf8").on("data", (text: string) => {
      this.#shown += text;
      this.#heard?.();
    });
  }

  type(keys: string): void {
    this.#shown = "";
    this.#child.stdin.write(keys);
  }

  /** Resolves with what was shown since the last keys once the pattern is in it. */
  async shows(pattern: RegExp): Promise<string> {
    while (!pattern.test(this.#shown)) {
      if (this.#child.exitCode !== null) throw new Error(`the shell ended and had shown: ${this.#shown}`);
      await new Promise<void>((resolve) => (this.#heard = resolve));
    }
    return this.#shown;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, "exit");
    // The terminal goes with it, and the shell with the terminal.
    this.#child.kill("SIGKILL");
    await gone;
  }
}

const lacks = (program: string) => spawnSync(program, ["--version"], { stdio: "ignore" }).error !== undefined;
const without = (shell: string) => ["script", shell].filter(lacks);
const suffix = (missing: readonly string[]) =>
  missing.length === 0 ? "" : ` (skipped: ${missing.join(" and ")} is not installed)`;

const SHELLS = {
  bash: {
    start: "bash --noprofile --rcfile .bashrc -i",
    before: "PS1='READY> '; bind 'set bell-style none'; bind 'set enable-bracketed-paste off'\n",
    // The second TAB lists.
    list: "\t\t",
  },
  zsh: { start: "zsh -d -i", before: "PS1='READY> '; unsetopt ZLE_BRACKETED_PASTE BEEP 2>/dev/null\n", list: "\t" },
} as const;

for (const shell of ["bash", "zsh"] as const) {
  const missing = without(shell);
  describe.skipIf(missing.length > 0)(`completion in ${shell}${suffix(missing)}`, () => {
    const { start, before, list } = SHELLS[shell];
    let sandbox: Sandbox;
    beforeAll(async () => {
      sandbox = await Sandbox.create();
      const { stdout } = await sandbox.wkfs("autocomplete", shell);
      await writeFile(sandbox.path(`.${shell}rc`), `${before}${stdout}`);
    });
    afterAll(async () => await sandbox[Symbol.asyncDispose]());

    it("is written without a word on stderr", async () => {
      const { code, stderr } = await sandbox.wkfs("autocomplete", shell);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    });

    it("lists what a word can become", async () => {
      await using terminal = new Terminal(start, sandbox);
      await terminal.shows(/READY> /);
      terminal.type(`wkfs cl${list}`);
      const shown = await terminal.shows(/\bclient\b[^]*\bclose\b/);
      expect(shown).not.toMatch(/\b(daemon|serve|status)\b/);
    });

    it("completes subcommands and flags", async () => {
      await using terminal = new Terminal(start, sandbox);
      await terminal.shows(/READY> /);
      terminal.type("wkfs client op\t");
      await terminal.shows(/client open /);
      terminal.type("--ti\t");
      await terminal.shows(/--time/);
    });

    it("says nothing when the cache was emptied", async () => {
      await using own = await Sandbox.create();
      const { stdout } = await own.wkfs("autocomplete", shell);
      await rm(own.path(".cache"), { recursive: true });
      await writeFile(own.path(`.${shell}rc`), `${before}${stdout}`);
      await using terminal = new Terminal(start, own);
      expect(await terminal.shows(/READY> /)).not.toMatch(/No such file|not found/i);
    });
  });
}

describe("wkfs autocomplete", () => {
  it("knows every command that the help lists, once, and none of its own making", async () => {
    await using sandbox = await Sandbox.create();
    const { stdout } = await sandbox.wkfs("autocomplete", "powershell", "--json");
    const { file } = JSON.parse(stdout) as { file: string };
    expect(await readFile(file, "utf8")).toContain('"autocomplete" = @{');
    const bash = await readFile(sandbox.path(".cache/wkfs/autocomplete/functions/bash/wkfs.bash"), "utf8");
    const known = Array.from(bash.matchAll(/^([a-z][a-z:-]*) --/gm), ([, id]) => id!);
    expect(known).toEqual([...new Set(known)]);
    expect(known).toEqual(expect.arrayContaining(["autocomplete", "client:open", "close", "plugins:install"]));
    expect(known.filter((id) => id.startsWith("autocomplete:"))).toEqual([]);
  });

  it("refuses a shell that it does not know, with 2", async () => {
    await using sandbox = await Sandbox.create();
    await mkdir(sandbox.path(".cache"));
    expect(await sandbox.wkfs("autocomplete", "csh")).toMatchObject({ code: 2, stdout: "" });
  });
});
