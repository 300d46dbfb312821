import type { NetworkNamespace } from "@wkfs/core/testing";
import { clientAddress } from "../stage.ts";

/**
 * The naive way on a host of its own: one spawned iptables(8) for each lease that opens or ends. Rules that stand
 * before a measurement come by one iptables-restore, whose time does not count.
 */
export class NaiveRules {
  readonly #host: NetworkNamespace;
  readonly #port: number;
  #standing = 0;

  constructor(host: NetworkNamespace, port: number) {
    this.#host = host;
    this.#port = port;
  }

  /** Makes it hold exactly so many rules. */
  async fill(count: number): Promise<void> {
    if (this.#standing === count) return;
    const rules = Array.from({ length: count }, (_, index) => `-A INPUT ${this.#rule(index).join(" ")}`);
    const text = ["*filter", "-F INPUT", ...rules, "COMMIT", ""].join("\n");
    const { code, stderr } = await this.#host.exec(["iptables-restore", "--noflush"], text);
    if (code !== 0) throw new Error(`iptables-restore: ${stderr}`);
    this.#standing = count;
  }

  /** Milliseconds for so many rules in one iptables-restore, in place of those that stand. */
  async refill(count: number): Promise<number> {
    this.#standing = Number.NaN;
    const started = performance.now();
    await this.fill(count);
    return performance.now() - started;
  }

  /** Milliseconds that each of `count` openings took. */
  async open(count: number): Promise<number> {
    return await this.#each(count, (index) => ["-I", "INPUT", "1", ...this.#rule(this.#standing + index)]);
  }

  /** Milliseconds that each of `count` closings took, of those that have stood longest. */
  async close(count: number): Promise<number> {
    return await this.#each(count, (index) => ["-D", "INPUT", ...this.#rule(index)]);
  }

  async #each(count: number, args: (index: number) => string[]): Promise<number> {
    // Spawned on the host itself, so that entering it is not counted.
    const argv = Array.from({ length: count }, (_, index) => ["iptables", ...args(index)]);
    const { code, stdout, stderr } = await this.#host.exec([process.execPath, "-e", SPAWN], JSON.stringify(argv));
    this.#standing = Number.NaN;
    if (code !== 0) throw new Error(stderr);
    return Number(stdout) / count;
  }

  #rule(index: number): string[] {
    return ["-s", `${clientAddress(index)}/32`, "-p", "udp", "--dport", String(this.#port), "-j", "ACCEPT"];
  }
}

/** A process that spawns one command after the other and prints the milliseconds of all. */
const SPAWN = `
const { spawn } = require("node:child_process");
const run = ([file, ...args]) => new Promise((resolve, reject) =>
  spawn(file, args, { stdio: "ignore" }).on("error", reject).on("close", (code) => (code === 0 ? resolve() : reject(new Error(args.join(" "))))));
(async () => {
  const commands = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
  const started = performance.now();
  for (const command of commands) await run(command);
  process.stdout.write(String(performance.now() - started));
})().catch((error) => { console.error(error.message); process.exitCode = 1; });
`;
