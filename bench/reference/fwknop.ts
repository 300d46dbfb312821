import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { NetworkNamespace } from "@wkfs/core/testing";
import { firstLine } from "../machine.ts";
import type { Program } from "../program.ts";
import type { Stage } from "../stage.ts";

/** Where fwknopd takes its packets. */
export const FWKNOP_PORT = 62_201;

const run = promisify(execFile);

/** Why fwknop is not measured, or undefined when it can be. */
export function whyNoFwknop(): string | undefined {
  const missing = ["fwknopd", "fwknop"].filter((program) => firstLine(program, "--version") === undefined);
  return missing.length === 0
    ? undefined
    : `${missing.join(" and ")} not installed (apt-get install fwknop-server fwknop-client)`;
}

/** Debian's fwknop in UDP mode: its server on a host, and what its client is to be called with. */
export class Fwknop {
  readonly server: Program;
  readonly home: string;
  readonly #flags: readonly string[];

  private constructor(server: Program, home: string, flags: readonly string[]) {
    this.server = server;
    this.home = home;
    this.#flags = flags;
  }

  /** `address` is the server's; the port that is opened is a UDP one. */
  static async start(stage: Stage, host: NetworkNamespace, address: string, udpPort: number): Promise<Fwknop> {
    const home = stage.path("fwknop");
    await mkdir(home, { mode: 0o700 });
    const keys = await run("fwknop", ["--key-gen"], { env: { ...process.env, HOME: home } });
    const key = (name: string) => new RegExp(`^${name}: (\\S+)$`, "m").exec(keys.stdout)?.[1] ?? "";
    const [cipher, hmac] = [key("KEY_BASE64"), key("HMAC_KEY_BASE64")];
    const files = { server: join(home, "fwknopd.conf"), access: join(home, "access.conf") };
    await writeFile(files.server, `ENABLE_UDP_SERVER Y;\nUDPSERV_PORT ${FWKNOP_PORT};\nFWKNOP_RUN_DIR ${home};\n`, {
      mode: 0o600,
    });
    const access = ["SOURCE ANY", `KEY_BASE64 ${cipher}`, `HMAC_KEY_BASE64 ${hmac}`, "FW_ACCESS_TIMEOUT 300"];
    await writeFile(files.access, `${access.join("\n")}\n`, { mode: 0o600 });
    await host.run("iptables", "-A", "INPUT", "-p", "udp", "--dport", String(udpPort), "-j", "DROP");
    const server = await stage.start(
      ["fwknopd", "--foreground", "--udp-server", "-c", files.server, "-a", files.access, "-r", home],
      { host, log: "fwknopd.log" },
    );
    await server.says("Kicking off UDP server");
    const flags = ["--no-rc-file", "-A", `udp/${udpPort}`, "-D", address, "-p", String(FWKNOP_PORT)];
    return new Fwknop(server, home, [
      ...flags,
      "--key-base64-rijndael",
      cipher,
      "--key-base64-hmac",
      hmac,
      "--use-hmac",
    ]);
  }

  /** The client's argv that knocks for an address. */
  client(address: string): readonly string[] {
    return ["fwknop", ...this.#flags, "-a", address];
  }

  /** Makes the packet of a knock without sending it; gives the file that holds it. */
  async packet(address: string): Promise<string> {
    const file = join(this.home, `packet-${address}`);
    const [program, ...args] = this.client(address);
    await run(program!, [...args, "--test", "--save-packet", file], { env: { ...process.env, HOME: this.home } });
    return file;
  }
}
