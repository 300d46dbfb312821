import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, readdir, readlink, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { whyNoKernel } from "@wkfs/core/testing";
import { describe, expect, it } from "vitest";

const WKFS = join(import.meta.dirname, "..", "cli", "bin", "run.js");

const reason = whyNoKernel("iptables", "ip6tables", "ipset", "setpriv");

/** A run of the demo, whose temporary files are in a folder of their own, by which its processes can be told. */
class Demo implements AsyncDisposable {
  readonly folder: string;
  readonly child: ChildProcess;
  readonly ended: Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>;
  readonly #text = { stdout: "", stderr: "" };

  private constructor(folder: string, path: string) {
    this.folder = folder;
    this.child = spawn(process.execPath, [WKFS, "demo"], {
      env: { PATH: path, HOME: folder, TMPDIR: join(folder, "tmp"), NODE_DISABLE_COMPILE_CACHE: "1" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of ["stdout", "stderr"] as const) {
      this.child[stream]!.setEncoding("utf8").on("data", (text: string) => (this.#text[stream] += text));
    }
    this.ended = once(this.child, "close").then(([code]) => ({ code: code as number | null, ...this.#text }));
  }

  static async start(path: (folder: string) => Promise<string> | string): Promise<Demo> {
    const folder = await mkdtemp(join(tmpdir(), "wkfs-demo-test-"));
    await mkdir(join(folder, "tmp"));
    return new Demo(folder, await path(folder));
  }

  async says(pattern: RegExp): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const look = () => pattern.test(this.#text.stdout) && resolve();
    this.child.stdout!.on("data", look);
    look();
    void this.ended.then(({ stderr }) => reject(new Error(`ended without ${pattern}: ${stderr}`)));
    await promise;
  }

  /** What is left of the run: its files, and processes that hold its folder or a network namespace of its own. */
  async leftovers(): Promise<readonly string[]> {
    return [...(await readdir(join(this.folder, "tmp"))), ...(await processesOf(this.folder))];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill("SIGKILL");
    await this.ended;
    await rm(this.folder, { recursive: true });
  }
}

async function processesOf(folder: string): Promise<readonly string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const parts = await Promise.all([
        ...["environ", "cmdline"].map((file) => readFile(`/proc/${pid}/${file}`, "utf8").catch(() => "")),
        readlink(`/proc/${pid}/cwd`).catch(() => ""),
      ]);
      return parts.some((part) => part.includes(folder)) ? [`${pid} ${parts[1]!.replaceAll("\0", " ")}`] : [];
    }),
  );
  return found.flat();
}

const skipped = reason === undefined ? "" : ` (skipped: ${reason})`;
describe.skipIf(reason !== undefined)(`the demo on a kernel${skipped}`, { timeout: 90_000 }, () => {
  const systemPath = () => process.env["PATH"] ?? "";

  it("shows the main job over IPv4 and IPv6, and leaves nothing behind", async () => {
    await using demo = await Demo.start(systemPath);
    const { code, stdout, stderr } = await demo.ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    for (const [client, other, server, tables] of [
      ["10.91.0.2", "10.91.0.3", "10.91.0.1", "iptables"],
      ["fd91::2", "fd91::3", "fd91::1", "ip6tables"],
    ] as const) {
      const story = [
        `[shut] ${client} -> ${server} port 2222`,
        `$ ${tables} -S wkfs`,
        "(no members)",
        "$ wkfs client open --tcp 2222",
        `tcp/2222 open for ${client} until `,
        `[open] ${client} -> ${server} port 2222: accepted`,
        `[shut] ${other} -> ${server} port 2222`,
        `${client},tcp:2222 timeout `,
        "s after the knock",
        `[shut] ${client} -> ${server} port 2222`,
        "[open] the connection of step 4 still answers",
        "leases ended",
      ];
      expect(storyIn(stdout, story)).toEqual(story);
    }
    expect(stdout).not.toContain("\u001B");
    expect(await demo.leftovers()).toEqual([]);
  });

  it.concurrent.each([
    ["SIGINT", 130, /wkfs on the kernel/],
    ["SIGINT", 130, /\[open\]/],
    ["SIGTERM", 143, /waiting for the deadline/],
  ] as const)("leaves nothing behind after %s, and exits with %i: %s", async (signal, exit, moment) => {
    await using demo = await Demo.start(systemPath);
    await demo.says(moment);
    expect(await demo.leftovers()).not.toEqual([]);
    demo.child.kill(signal);
    expect((await demo.ended).code).toBe(exit);
    expect(await demo.leftovers()).toEqual([]);
  });

  it("leaves no process behind when it is killed", async () => {
    await using demo = await Demo.start(systemPath);
    await demo.says(/\[open\]/);
    demo.child.kill("SIGKILL");
    await expect.poll(() => processesOf(demo.folder), { timeout: 10_000 }).toEqual([]);
  });
});

describe("the demo without iptables", { timeout: 60_000 }, () => {
  const onlyNode = async (folder: string) => {
    await mkdir(join(folder, "bin"));
    await symlink(process.execPath, join(folder, "bin", "node"));
    return join(folder, "bin");
  };

  it.concurrent("says in one line what to install, and tells the story with the dry-run firewall", async () => {
    await using demo = await Demo.start(onlyNode);
    const { code, stdout, stderr } = await demo.ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout.split("\n")[0]).toMatch(/iptables.*ipset.*apt-get install .*iptables/);
    const knock = "tcp/2222 open for 127.0.0.1 until ";
    const story = ["dry-run firewall", knock, "127.0.0.1", knock, "The deadline passes", "leases ended"];
    expect(storyIn(stdout, story)).toEqual(story);
    expect(await demo.leftovers()).toEqual([]);
  });

  it.concurrent("leaves nothing behind after SIGINT", async () => {
    await using demo = await Demo.start(onlyNode);
    await demo.says(/open for/);
    demo.child.kill("SIGINT");
    expect((await demo.ended).code).toBe(130);
    expect(await demo.leftovers()).toEqual([]);
  });
});

/** Those of the texts that stand in the output in this order. */
function storyIn(output: string, texts: readonly string[]): readonly string[] {
  let from = 0;
  return texts.filter((text) => {
    const at = output.indexOf(text, from);
    if (at >= 0) from = at + text.length;
    return at >= 0;
  });
}
