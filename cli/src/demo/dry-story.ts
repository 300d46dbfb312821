import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { PORT, hostPort } from "./family.ts";
import { writeFiles } from "./files.ts";
import type { Program } from "./program.ts";
import type { Stage } from "./stage.ts";
import { type Story, expectThat } from "./story.ts";
import { type KnockTimes, parseLine, tellKnock, tellLog } from "./telling.ts";

/** Seconds that a knock asks for. */
const LEASE = 4;
/** Milliseconds that may pass after the deadline until we see it. */
const LATE = 3000;

/**
 * The same story where the kernel cannot be had: daemon, gateway and client run on the loopback of this host, and the
 * firewall prints what it would write. Nothing is closed in earnest, so there is no service to connect to.
 */
export async function dryStory(story: Story, stage: Stage): Promise<void> {
  story.line("The same story with the dry-run firewall, which prints what it would write and closes nothing:");
  story.line(
    `  wkfs daemon (dry-run), wkfs serve and wkfs client on the loopback of this host; port ${PORT} is protected`,
  );
  for (const [name, host] of [
    ["IPv4", "127.0.0.1"],
    ["IPv6", "::1"],
  ] as const) {
    const [web, link] = [await freePort(host), await freePort("127.0.0.1")];
    if (web === undefined || link === undefined) story.line(`\n${name} is left out: this host has no ${host}.`);
    else await tellFamily(story, stage, { name, host, web, link });
  }
}

interface Loopback {
  readonly name: string;
  readonly host: string;
  /** Where the gateway and where the daemon listens. */
  readonly web: number;
  readonly link: number;
}

async function tellFamily(story: Story, stage: Stage, { name, host, web, link }: Loopback): Promise<void> {
  story.scene(name, `client and server ${host}`);
  const { server, clients } = await writeFiles(join(stage.dir, name), {
    listen: hostPort(host, web),
    transportPort: link,
    firewalls: ["dry-run"],
    reachedAt: [{ host, port: web }],
  });
  const daemon = stage.wkfs(["daemon", "--config", server]);
  const gateway = stage.wkfs(["serve", "--config", server]);
  const written = new Written(daemon, stage.signal);
  const knock = (...flags: string[]) => stage.wkfs(["client", "open", "--config", clients[0]!, ...flags]).ended;
  let knocked: KnockTimes = { from: 0, to: 0 };

  await story.step("Nobody has knocked: what the firewall would close", async () => {
    await Promise.all([daemon, gateway].map((program) => program.says("stderr", /"msg":"ready"/)));
    tellLines(story, await written.next());
  });
  await story.step(`The client knocks, for ${LEASE} seconds`, async () => {
    knocked = await tellKnock(story, host, LEASE, knock);
  });
  await story.step("What the firewall would write: one address, one port, a deadline", async () => {
    const lines = await written.next();
    tellLines(story, lines);
    expectThat(
      lines.some((line) => line.includes(host) && line.includes(String(PORT))),
      "the lease is not among it",
    );
  });
  await story.step("The client knocks again: the deadline moves, no second lease", async () => {
    // Within the same second it would be the deadline that the lease has.
    await delay(1000, undefined, { signal: stage.signal });
    knocked = await tellKnock(story, host, LEASE, knock);
    tellLines(story, await written.next());
    await daemon.says("stderr", /"renewed":\["/);
  });
  await story.step(
    "The deadline passes: the kernel ends the lease by itself, and nothing has to be written",
    async () => {
      const due = knocked.to + LEASE * 1000;
      const ended = async () => daemon.stderr.includes("leases ended");
      await story.wait("the deadline passes", due, due + LATE - Date.now(), ended);
      expectThat(Date.now() >= knocked.from + LEASE * 1000, "the lease ended too early");
    },
  );
  await story.step("What the daemon wrote down", async () => tellLog(story, daemon.stderr, host));
}

/** What the dry-run firewall of a daemon prints, on stdout or as lines of the log. */
class Written {
  readonly #daemon: Program;
  readonly #signal: AbortSignal;
  #told = 0;

  constructor(daemon: Program, signal: AbortSignal) {
    this.#daemon = daemon;
    this.#signal = signal;
  }

  /** The lines since the last call. Waits for them: a pipe brings them some time after they were written. */
  async next(): Promise<readonly string[]> {
    const latest = Date.now() + LATE;
    let lines = this.#lines();
    for (let whole = false; !whole;) {
      if (Date.now() > latest) throw new Error("the dry-run firewall has printed nothing");
      await delay(50, undefined, { signal: this.#signal });
      const now = this.#lines();
      whole = now.length > this.#told && now.length === lines.length;
      lines = now;
    }
    const news = lines.slice(this.#told);
    this.#told = lines.length;
    return news;
  }

  #lines(): readonly string[] {
    const logged = this.#daemon.stderr.split("\n").flatMap((line) => {
      const { sentence, data } = parseLine(line);
      if (data["plugin"] !== "dry-run") return [];
      const texts = Object.values(data).filter((value) => typeof value === "string" && value.includes("\n"));
      return [sentence, ...texts.flatMap((text) => String(text).trimEnd().split("\n"))];
    });
    return [...this.#daemon.stdout.split("\n").filter((line) => line !== ""), ...logged];
  }
}

function tellLines(story: Story, lines: readonly string[]): void {
  for (const line of lines) story.note(`  ${line}`);
}

/** A port that nobody has now; undefined where there is no such address. */
async function freePort(host: string): Promise<number | undefined> {
  const server = createServer();
  try {
    await once(server.listen({ host, port: 0 }), "listening");
    return (server.address() as AddressInfo).port;
  } catch {
    return undefined;
  } finally {
    server.close();
  }
}
