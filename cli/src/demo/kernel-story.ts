import { type Family, PORT } from "./family.ts";
import { Hosts } from "./hosts.ts";
import { type KnockTimes, tellKnock, tellLog } from "./telling.ts";
import type { Means } from "./means.ts";
import type { Stage } from "./stage.ts";
import { type Story, expectThat } from "./story.ts";

/** Seconds that the knock asks for: time enough to look at everything while it is open, also on a busy host. */
const LEASE = 6;
/** Milliseconds after which a connection that nobody answers is called shut, and within which an answer must come. */
const SHUT_AFTER = 1000;
const ANSWER_WITHIN = 3000;
/** Milliseconds that may pass after the deadline until we see it. */
const LATE = 3000;

/** The main job of wkfs, on this host's kernel. */
export async function kernelStory(
  story: Story,
  stage: Stage,
  means: Extract<Means, { kind: "kernel" }>,
): Promise<void> {
  story.line(`wkfs on the kernel of this host: ${means.versions}`);
  story.line(
    means.user === undefined
      ? "Two hosts are made: network namespaces, joined by a veth pair."
      : "Two hosts are made: network namespaces in a user namespace, joined by a veth pair. No root is needed.",
  );
  if (means.families.length === 1) story.line("IPv6 is switched off on this host, so it is left out.");
  const hosts = await Hosts.start(stage, means);
  story.line(`  server  TCP service on port ${PORT}, wkfs daemon (iptables, guard), wkfs serve; a fresh set of keys`);
  story.line("  client  wkfs client with these keys");
  try {
    for (const family of means.families) await new FamilyStory(story, hosts, family).tell();
  } catch (error) {
    if (!stage.signal.aborted) story.ran("wkfs daemon", hosts.daemon.stderr.trimEnd().split("\n").slice(-10));
    throw error;
  }
}

class FamilyStory {
  readonly #story: Story;
  readonly #hosts: Hosts;
  readonly #family: Family;
  /** The number of the connection that was accepted. */
  readonly #kept: number;

  constructor(story: Story, hosts: Hosts, family: Family) {
    this.#story = story;
    this.#hosts = hosts;
    this.#family = family;
    this.#kept = family.length;
  }

  async tell(): Promise<void> {
    const { name, client, other, server } = this.#family;
    const story = this.#story;
    let knocked: KnockTimes = { from: 0, to: 0 };
    story.scene(name, `client ${client} and ${other}, server ${server}`);
    await story.step("Nobody has knocked: the port does not answer", () => this.#isShut(client));
    await story.step("What the kernel holds: the guard, and nobody let in", () => this.#showKernel());
    await story.step(`The client knocks, for ${LEASE} seconds`, async () => {
      knocked = await tellKnock(story, client, LEASE, (...flags) => this.#hosts.knock(this.#family, ...flags));
    });
    await story.step("The same connection again: accepted", () => this.#isOpen(client));
    await story.step("Another address is still shut out", () => this.#isShut(other));
    await story.step("What the kernel holds: one address, one port, the seconds left", async () => {
      const [lease, ...more] = await this.#leases(true);
      expectThat(more.length === 0, `${1 + more.length} leases instead of one`);
      expectThat(lease?.startsWith(`${client},tcp:${PORT} timeout `) === true, `the set holds ${lease}`);
    });
    await story.step("The deadline passes", async () => {
      const due = knocked.to + LEASE * 1000;
      await story.wait(
        "the deadline passes",
        due,
        due + LATE - Date.now(),
        async () => (await this.#leases()).length === 0,
      );
      expectThat(Date.now() >= knocked.from + LEASE * 1000, "the lease ended too early");
      const after = (Date.now() - knocked.to) / 1000;
      story.note(`${after.toFixed(1)} s after the knock the kernel's set is empty`);
    });
    await story.step("Shut again, and what was connected goes on", async () => {
      await this.#isShut(client);
      const { line, error } = await this.#hosts.visit({ say: this.#kept, text: "still here?", limit: ANSWER_WITHIN });
      expectThat(line === "still here?", `the connection of step 4 is dead: ${error ?? line}`);
      story.saw("open", `the connection of step 4 still answers: "${line}"`);
    });
    await story.step("What the daemon wrote down", async () => {
      await this.#hosts.daemon.says("stderr", new RegExp(`"${client} tcp/${PORT}".*leases ended`));
      tellLog(story, this.#hosts.daemon.stderr, client);
    });
  }

  async #isShut(from: string): Promise<void> {
    const { server: to } = this.#family;
    const before = await this.#dropped();
    const { error, line, took } = await this.#hosts.visit({ connect: 0, from, to, port: PORT, limit: SHUT_AFTER });
    expectThat(error === "TIMEOUT", `expected no answer from port ${PORT}, but saw ${error ?? `"${line}"`}`);
    const dropped = (await this.#dropped()) - before;
    expectThat(dropped > 0, "nobody answered, but the guard has not dropped a packet");
    const packets = dropped === 1 ? "1 packet" : `${dropped} packets`;
    this.#story.saw(
      "shut",
      `${from} -> ${to} port ${PORT}: no answer in ${(took / 1000).toFixed(1)} s, the guard dropped ${packets}`,
    );
  }

  async #isOpen(from: string): Promise<void> {
    const { server: to } = this.#family;
    const limit = ANSWER_WITHIN;
    const { line, error, took } = await this.#hosts.visit({ connect: this.#kept, from, to, port: PORT, limit });
    expectThat(line === `hello ${from}`, `expected a greeting from port ${PORT}, but saw ${error ?? `"${line}"`}`);
    this.#story.saw("open", `${from} -> ${to} port ${PORT}: accepted after ${took.toFixed(1)} ms, it says "${line}"`);
  }

  async #showKernel(): Promise<void> {
    const { tables } = this.#family;
    const rules = await this.#hosts.kernel(tables, "-S", "wkfs");
    this.#story.ran(`${tables} -S wkfs`, rules);
    const closes = rules.some((rule) => rule.includes(`${PORT}`) && rule.endsWith("-j DROP"));
    expectThat(closes, `no rule drops what comes to port ${PORT}`);
    expectThat((await this.#leases(true)).length === 0, "there are leases already");
  }

  /** The elements of the set that the chain looks into. */
  async #leases(show = false): Promise<readonly string[]> {
    const rules = await this.#hosts.kernel(this.#family.tables, "-S", "wkfs");
    const set = /--match-set (\S+)/.exec(rules.join("\n"))?.[1];
    expectThat(set !== undefined, "the chain wkfs looks into no set");
    const lines = await this.#hosts.kernel("ipset", "list", set);
    const elements = lines.slice(lines.indexOf("Members:") + 1).filter((line) => line !== "");
    if (show) this.#story.ran(`ipset list ${set}`, elements.length > 0 ? elements : ["(no members)"]);
    return elements;
  }

  /** Packets that the guard has dropped so far. */
  async #dropped(): Promise<number> {
    const rules = await this.#hosts.kernel(this.#family.tables, "-v", "-S", "wkfs");
    const counts = rules.filter((rule) => rule.endsWith("-j DROP")).map((rule) => / -c (\d+) /.exec(rule)?.[1] ?? 0);
    return counts.reduce((sum: number, count) => sum + Number(count), 0);
  }
}
