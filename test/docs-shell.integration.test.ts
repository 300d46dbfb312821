import { existsSync } from "node:fs";
import { join } from "node:path";
import { spawnSync } from "node:child_process";
import { NetworkNamespace, whyNoKernel } from "@wkfs/core/testing";
import { describe, expect, it } from "vitest";
import { PAGES, type Block, blocks, root } from "./support/pages.ts";
import { CLONE, ThrowawayHost } from "./support/throwaway-host.ts";

/** README and docs/ are followed here by a shell, page by page, on a host that is thrown away and a client's beside it. */
const shell = blocks.filter(
  ({ page, language }) => language === "sh" && (page === "README.md" || page.startsWith("docs/")),
);

/**
 * How a block is run, as its info string says: by itself on the server, with success. `client`: on the client's host. `fails`: it ends
 * with another code than 0. `background`: it goes on, and is ready when it says so. `no-run: REASON` and `run-by: TEST` are not run here.
 */
const HOW = /^(?:(client)?(?: ?(fails|background))?|no-run: (\S.*)|run-by: (\S+))$/;

function howOf({ info }: Block) {
  const [known, client, manner, reason, test] = HOW.exec(info) ?? [];
  return known === undefined ? undefined : { client: client !== undefined, manner, reason, test };
}

describe("a block of shell", () => {
  it.each(shell.map((block) => [`${block.page}:${block.line}`, block] as const))(
    "%s is run, or says why not",
    (_, block) => {
      const how = howOf(block);
      expect(how, `what is this to do: "${block.info}"?`).toBeDefined();
      if (how!.test !== undefined) expect(existsSync(join(root, how!.test))).toBe(true);
    },
  );
});

const SERVER = "192.0.2.1";
const CLIENT = "192.0.2.7";

/** While it is there ssh waits 2 s for a server, where nobody is to answer; else long enough for a busy machine. */
const IMPATIENT = "/run/impatient";

/** What a server and its administrator have: names, sshd on port 22, and a key to log in with. */
const PREPARED = `
printf '127.0.0.1 localhost\\n${SERVER} server.example.org www.example.org\\n' > /etc/hosts
ln -sf ${CLONE}/cli/bin/run.js /usr/local/bin/wkfs
mkdir -p -m 0700 /root/.ssh
ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519
cp /root/.ssh/id_ed25519.pub /root/.ssh/authorized_keys
cat > /root/.ssh/config <<'END'
StrictHostKeyChecking accept-new
BatchMode yes
LogLevel ERROR
Match exec "test -e ${IMPATIENT}"
  ConnectTimeout 2
Match all
  ConnectTimeout 60
END
ssh-keygen -A > /dev/null
/usr/sbin/sshd
`;

class Walk implements AsyncDisposable {
  readonly #server: ThrowawayHost;
  readonly #client: NetworkNamespace;

  private constructor(server: ThrowawayHost, client: NetworkNamespace) {
    this.#server = server;
    this.#client = client;
  }

  static async begin(): Promise<Walk> {
    const server = await ThrowawayHost.create();
    const client = await NetworkNamespace.create();
    await server.network.connect(client, [`${SERVER}/24`, "2001:db8::1/64"], [`${CLIENT}/24`, "2001:db8::7/64"]);
    await server.run(PREPARED);
    return new Walk(server, client);
  }

  /** A server whose URL is that of the pages; it lets its client in once, to fetch the keys. */
  async serve(): Promise<void> {
    const url = "http://server.example.org:8080";
    const { network } = this.#server;
    await this.#server.run(`wkfs install server --tcp 22 --listen 0.0.0.0:8080 --path /8f3c0c5e --url ${url}/8f3c0c5e`);
    for (const half of ["daemon", "serve"]) await this.#start(`wkfs ${half}`, network);
    await this.#server.run(`wkfs open ${CLIENT} --tcp 22`);
  }

  /** Does what the block says, and throws where it does not go as it says. */
  async step(block: Block): Promise<void> {
    const { client, manner } = howOf(block)!;
    const network = client ? this.#client : this.#server.network;
    if (manner === "background") return await this.#start(block.text, network);
    const fails = manner === "fails";
    if (fails) await this.#server.run(`touch ${IMPATIENT}`);
    const { code, stdout, stderr } = await this.#server.exec(block.text, network);
    if (fails) await this.#server.run(`rm ${IMPATIENT}`);
    if ((code === 0) === fails) {
      throw new Error(`${block.page}:${block.line} ended with ${code}:\n${block.text}\n${stdout}${stderr}`);
    }
  }

  async #start(text: string, network: NetworkNamespace): Promise<void> {
    const child = this.#server.start(text, network);
    let said = "";
    await new Promise<void>((resolve, reject) => {
      for (const stream of [child.stdout!, child.stderr!]) {
        stream.on("data", (piece: Buffer) => {
          said += piece.toString();
          if (/\bready\b/.test(said)) resolve();
        });
      }
      child.once("exit", (code) => reject(new Error(`ended with ${code} and was not ready:\n${text}\n${said}`)));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
    await this.#client[Symbol.asyncDispose]();
  }
}

/** Programs that the blocks of a page call, beside those that every Debian has. */
const NEEDED: Readonly<Record<string, readonly string[]>> = {
  "docs/behind-nginx.md": ["nginx", "apache2", "caddy", "curl", "openssl"],
  "docs/firewalld-and-ufw.md": ["ufw"],
};

/** What a page takes for granted: a server as the page of the first one leaves it. Port 22 opens by a knock alone then, so keys are fetched before. */
const SERVER_RUNS = ["docs/clients.md"];

const noKernel = whyNoKernel("nft", "iptables", "ipset", "ssh");

const runHere = shell.filter((block) => {
  const how = howOf(block);
  return how !== undefined && how.reason === undefined && how.test === undefined;
});

// Side by side: each has hosts of its own, and waits more than it computes.
describe.concurrent.each(PAGES.filter((page) => runHere.some((block) => block.page === page)))("%s", (page) => {
  const steps = runHere.filter((block) => block.page === page);
  const missing = (NEEDED[page] ?? []).filter((program) => spawnSync("which", [program]).status !== 0);
  if (missing.length > 0 && process.env["WKFS_REQUIRE_KERNEL"] === "1")
    throw new Error(`install ${missing.join(", ")}`);
  const lack = noKernel ?? (missing.length > 0 ? `${missing.join(", ")} not installed` : undefined);

  it.skipIf(lack !== undefined)(
    `can be followed: ${steps.length} blocks${lack === undefined ? "" : ` (skipped: ${lack})`}`,
    async () => {
      await using walk = await Walk.begin();
      if (SERVER_RUNS.includes(page)) await walk.serve();
      for (const block of steps) await walk.step(block);
    },
  );
});
