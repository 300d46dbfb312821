import { describe, expect, it } from "vitest";
import type { FirewallChange, FirewallCheck, FirewallState } from "../../src/contracts/firewall.ts";
import { WkfsError } from "../../src/model/errors.ts";
import { type KernelLease, leaseId } from "../../src/model/lease.ts";
import { FakeClock } from "../fake-clock.ts";
import { firewallSuite } from "../firewall-suite.ts";
import { MemoryFirewall, type MemoryFirewallOptions, MemoryKernel } from "../memory-firewall.ts";
import type { TestRunner } from "../runner.ts";
import { verdictOf } from "./verdict.ts";

type Make = (options: MemoryFirewallOptions) => MemoryFirewall;

/** The suite over firewalls of this make. */
const suiteOf = (make: Make) => (runner: TestRunner) =>
  firewallSuite("a firewall in memory", runner, async () => {
    const clock = new FakeClock();
    const kernel = new MemoryKernel();
    return {
      make: async () => make({ clock, kernel }),
      makeSecond: async () => make({ clock, kernel, chain: "other" }),
      now: () => clock.now(),
      pass: (milliseconds) => clock.advance(milliseconds),
      harm: {
        "the jump is gone": async () => void (kernel.chain("wkfs").missing = ["the jump from INPUT"]),
        "the set is empty": async () => kernel.chain("wkfs").leases.clear(),
      },
      snapshot: async () => kernel.snapshot(),
      [Symbol.asyncDispose]: async () => {},
    };
  });

suiteOf((options) => new MemoryFirewall(options))({ describe, it });
suiteOf((options) => new MemoryFirewall({ ...options, capabilities: { families: ["ipv6"], expiry: "core" } }))({
  describe,
  it,
});

/** Renewing an open lease does nothing, as `add element` of nftables. */
class Unrenewing extends MemoryFirewall {
  override async apply(change: FirewallChange): Promise<void> {
    await super.apply({ ...change, open: change.open.filter((lease) => !this.kernel.has(leaseId(lease))) });
  }
}

/** Renews when the time is another one, and not when it is the same. */
class HalfRenewing extends MemoryFirewall {
  readonly #clock;
  readonly #times = new Map<string, number>();
  constructor(options: MemoryFirewallOptions) {
    super(options);
    this.#clock = options.clock;
  }
  override async apply(change: FirewallChange): Promise<void> {
    const now = this.#clock.now();
    const open = change.open.filter((lease) => {
      const [id, time] = [leaseId(lease), lease.deadline - now];
      const silent = this.kernel.has(id) && this.#times.get(id) === time;
      this.#times.set(id, time);
      return !silent;
    });
    await super.apply({ ...change, open });
  }
}

/** Says that it is done when the change is queued; it waits for the queue itself, so it alone does not see that. */
class Hasty extends MemoryFirewall {
  #queue: Promise<void> = Promise.resolve();
  override async apply(change: FirewallChange): Promise<void> {
    // What would be refused is looked at first, to be honest in that.
    await this.#queue;
    if (change.open.some(({ port }) => port.number > 65_535)) return await super.apply(change);
    this.#queue = new Promise((resolve) => setImmediate(resolve)).then(() => super.apply(change)).catch(() => {});
  }
  override check = async (): Promise<FirewallCheck> => (await this.#queue, await super.check());
  override list = async (): Promise<FirewallState> => (await this.#queue, await super.list());
  override release = async (): Promise<void> => (await this.#queue, await super.release());
  override detach = async (): Promise<void> => (await this.#queue, await super.detach());
}

/** Lists what it remembers besides what the kernel holds. */
class Lying extends MemoryFirewall {
  readonly #remembered = new Map<string, KernelLease>();
  override async apply(change: FirewallChange): Promise<void> {
    await super.apply(change);
    for (const key of change.close) this.#remembered.delete(leaseId(key));
    for (const lease of change.open) this.#remembered.set(leaseId(lease), this.kernel.get(leaseId(lease))!);
  }
  override async list(): Promise<FirewallState> {
    const { missing, leases } = await super.list();
    const seen = new Set(leases.map(leaseId));
    // Those that ended by themselves it knows to be gone.
    const gone = [...this.#remembered]
      .filter(([id]) => !seen.has(id) && !this.kernel.has(id))
      .map(([, lease]) => lease);
    return { missing, leases: [...leases, ...gone] };
  }
  override async detach(): Promise<void> {
    this.#remembered.clear();
    await super.detach();
  }
}

/** Renewing does nothing, and the list says what was asked for. */
class Pretending extends Unrenewing {
  readonly #asked = new Map<string, number>();
  override async apply(change: FirewallChange): Promise<void> {
    await super.apply(change);
    for (const lease of change.open) this.#asked.set(leaseId(lease), lease.deadline);
  }
  override async list(): Promise<FirewallState> {
    const { missing, leases } = await super.list();
    return {
      missing,
      leases: leases.map((held) => ({ ...held, deadline: this.#asked.get(leaseId(held)) ?? held.deadline! })),
    };
  }
}

/** Opens one after the other, and leaves those that were open when one is refused. */
class Piecemeal extends MemoryFirewall {
  override async apply({ open, close, before }: FirewallChange): Promise<void> {
    await super.apply({ open: [], close, before });
    for (const lease of open) await super.apply({ open: [lease], close: [], before: [] });
  }
}

class Leaving extends MemoryFirewall {
  override async detach(): Promise<void> {
    await super.detach();
    this.missing = ["the jump, not the chain"];
  }
}

class Reckless extends MemoryFirewall {
  readonly #kernel;
  constructor(options: MemoryFirewallOptions) {
    super(options);
    this.#kernel = options.kernel!;
  }
  override async detach(): Promise<void> {
    await super.detach();
    for (const name of ["wkfs", "other"]) this.#kernel.chain(name).leases.clear();
  }
}

/** Begins with an empty set, whatever a former run left. */
class Flushing extends MemoryFirewall {
  override async attach(): Promise<void> {
    if (this.attached === 0 && this.missing.length === 0) this.kernel.clear();
    await super.attach();
  }
}

/** Hangs another jump in each time. */
class Doubling extends MemoryFirewall {
  readonly #kernel;
  constructor(options: MemoryFirewallOptions) {
    super(options);
    this.#kernel = options.kernel!;
  }
  override async attach(): Promise<void> {
    if (this.attached > 0) this.#kernel.chain("a second jump").missing = [];
    await super.attach();
  }
}

/** Promises that the kernel ends leases, and writes them without a timeout. */
class Everlasting extends MemoryFirewall {
  readonly #clock;
  constructor(options: MemoryFirewallOptions) {
    super(options);
    this.#clock = options.clock;
  }
  override async apply(change: FirewallChange): Promise<void> {
    await super.apply(change);
    const now = () => this.#clock.now();
    for (const { address, port, deadline } of change.open) {
      const held = {
        address,
        port,
        get deadline() {
          return Math.max(deadline, now() + 1);
        },
      };
      this.kernel.set(leaseId(held), held);
    }
  }
}

/** Guards for ever, also when it is told an end. */
class Lasting extends MemoryFirewall {
  override async attach(): Promise<void> {
    await super.attach();
  }
}

class Blind extends MemoryFirewall {
  override async check(): Promise<FirewallCheck> {
    return { missing: [], count: undefined, absent: [] };
  }
}

class Pedantic extends MemoryFirewall {
  override async apply(change: FirewallChange): Promise<void> {
    const closed = change.close.find((key) => !this.kernel.has(leaseId(key)));
    if (closed !== undefined) throw new WkfsError("FIREWALL_FAILED", `${leaseId(closed)} is not open`);
    await super.apply(change);
  }
}

class Nameless extends MemoryFirewall {
  override apply(change: FirewallChange): Promise<void> {
    return super.apply(change).catch((error: Error) => Promise.reject(new Error(error.message)));
  }
}

class Stuck extends MemoryFirewall {
  override async apply(change: FirewallChange): Promise<void> {
    if (change.open.length > 100) await new Promise(() => {});
    await super.apply(change);
  }
}

const LIMITED = "attach for a limited time is idempotent, and is for ever with the next attach";
const RENEWS = "renewing moves the deadline and makes no second lease";
const RENEWS_ALIKE = "renewing with the time that it had before moves the deadline all the same";
const BROKEN: readonly [string, new (options: MemoryFirewallOptions) => MemoryFirewall, string[], number?][] = [
  ["renewal does nothing", Unrenewing, [RENEWS, RENEWS_ALIKE]],
  ["renewal with the same time does nothing", HalfRenewing, [RENEWS_ALIKE]],
  [
    "apply resolves too early",
    Hasty,
    [
      "apply resolves when the kernel has accepted it: another process sees it at once",
      "a process that dies leaves all that it applied",
    ],
  ],
  ["list tells what it remembers", Lying, ["check and list tell what the kernel holds, whoever changed it"]],
  ["renewal does nothing, and list says what was asked for", Pretending, [RENEWS_ALIKE]],
  [
    "apply is not all or nothing",
    Piecemeal,
    ["what one change holds is in the kernel or, when it is refused, none of it is"],
  ],
  ["detach leaves something", Leaving, ["detach is the exact undo, also of a former run, and idempotent"]],
  ["detach takes another instance's leases along", Reckless, ["two instances leave each other alone"]],
  [
    "attach empties what a former run left",
    Flushing,
    [
      LIMITED,
      "a process that dies leaves all that it applied",
      "a restart takes over what is open",
      "attach never says that no lease stands when one does",
    ],
  ],
  ["attach is not idempotent", Doubling, [LIMITED, "attach makes the hooks, and is idempotent"]],
  [
    "leases never end",
    Everlasting,
    [
      "the kernel ends a lease on its deadline, with nobody's help",
      "it takes the shortest and the longest time, and the shortest ends too",
    ],
  ],
  ["guard has no end, though it says that it can have one", Lasting, [LIMITED]],
  [
    "check sees nothing",
    Blind,
    [
      "check misses leases that are gone",
      "check and list tell what the kernel holds, whoever changed it",
      "harm is noticed, says in words what it is, and attach mends it",
    ],
  ],
  ["closing what is closed is an error", Pedantic, ["closing closes, and closing what is closed is no error"]],
  ["a refusal has no code", Nameless, ["what one change holds is in the kernel or, when it is refused, none of it is"]],
  [
    "a large change never ends",
    Stuck,
    [
      "a change of thousands is one change",
      "as many changes as it has lanes go at the same time, and a check beside them",
    ],
    300,
  ],
];

describe("the suite of firewalls finds a firewall whose", () => {
  it.each(BROKEN)("%s", async (_, Broken, expected, timeLimit) => {
    const { failed, skipped } = await verdictOf(
      suiteOf((options) => new Broken(options)),
      timeLimit,
    );
    expect({ failed: Object.keys(failed).toSorted(), skipped }).toEqual({ failed: expected.toSorted(), skipped: [] });
  });

  it("fault is none: it fails nothing and skips nothing", async () => {
    const { failed, skipped, passed } = await verdictOf(suiteOf((options) => new MemoryFirewall(options)));
    expect({ failed, skipped }).toEqual({ failed: {}, skipped: [] });
    expect(passed).toBeGreaterThan(15);
  });
});
