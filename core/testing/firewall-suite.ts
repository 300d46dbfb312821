import assert from "node:assert/strict";
import { type Firewall, type FirewallChange, inverse } from "../src/contracts/firewall.ts";
import { parseAddress } from "../src/model/address.ts";
import { isWkfsError } from "../src/model/errors.ts";
import { type Lease, leaseId } from "../src/model/lease.ts";
import type { Protocol } from "../src/model/port.ts";
import { Inapplicable, type TestRunner, check, needed } from "./runner.ts";

/** A firewall to test, and its surroundings. What is optional makes more checks possible; without it they are skipped. */
export interface FirewallUnderTest extends AsyncDisposable {
  /** Makes another firewall object over the same kernel and configuration, as a restart does. */
  make(): Promise<Firewall>;
  /** The same plugin configured beside the first one, on the same kernel. */
  makeSecond?(): Promise<Firewall>;
  /** The time that the firewall goes by, in ms since the epoch. */
  now(): number;
  /** Moves that time on by so many milliseconds, where it is a test's own. Without it the suite waits. */
  pass?(milliseconds: number): Promise<void>;
  /** Ways in which somebody may break the hooks underneath. */
  readonly harm?: Readonly<Record<string, () => Promise<void>>>;
  /** Two leases of which the kernel refuses the second: for "all of it or none". */
  refused?(): readonly [Lease, Lease];
  /** Everything that the kernel holds, as text: for "exact undo". */
  snapshot?(): Promise<string>;
}

/**
 * What the contract `Firewall` promises, as tests. Each test gets a firewall of its own from `prepare`, with an
 * empty kernel under it.
 */
export function firewallSuite(name: string, runner: TestRunner, prepare: () => Promise<FirewallUnderTest>): void {
  runner.describe(`${name} keeps the firewall contract:`, () => {
    const test = (what: string, body: (firewall: Firewall, subject: FirewallUnderTest) => Promise<void>): void =>
      check(runner, what, async () => {
        await using subject = await prepare();
        const firewall = await subject.make();
        try {
          await body(firewall, subject);
        } finally {
          await firewall.detach();
        }
      });

    test("attach makes the hooks, and is idempotent", async (firewall, { snapshot }) => {
      await firewall.attach();
      const made = await snapshot?.();
      assert.deepEqual((await firewall.check()).missing, []);
      await firewall.attach();
      assert.deepEqual(await firewall.list(), { missing: [], leases: [] });
      assert.equal(await snapshot?.(), made);
    });

    test("attach for a limited time is idempotent, and is for ever with the next attach", async (firewall, subject) => {
      if (firewall.capabilities.guardUntil !== true) throw new Inapplicable("its guard has no end of its own");
      await firewall.attach();
      const lasting = await subject.snapshot?.();
      const opened = lease(firewall, 1, "tcp", 22, subject.now() + 60_000);
      await firewall.apply(change({ open: [opened] }));
      await expectHeld(firewall, [opened]);
      const unlimited = await subject.snapshot?.();
      const guardUntil = subject.now() + 60_000;
      await firewall.attach({ guardUntil });
      const limited = await subject.snapshot?.();
      assert.deepEqual((await firewall.check()).missing, []);
      await firewall.attach({ guardUntil });
      assert.equal(await subject.snapshot?.(), limited);
      const restarted = await subject.make();
      await restarted.attach({ guardUntil });
      assert.equal(await subject.snapshot?.(), limited);
      assert.deepEqual((await restarted.check()).missing, []);
      await expectHeld(restarted, [opened]);
      await restarted.release();
      await firewall.attach();
      await firewall.apply(change({ close: [opened], before: [opened] }));
      await expectHeld(firewall, []);
      assert.equal(await subject.snapshot?.(), lasting);
      if (unlimited !== undefined) assert.notEqual(limited, unlimited);
    });

    test("attach never says that no lease stands when one does", async (firewall, subject) => {
      await firewall.attach();
      const standing = lease(firewall, 1, "tcp", 22, subject.now() + 60_000);
      await firewall.apply(change({ open: [standing] }));
      assert.notEqual((await firewall.attach())?.empty, true);
      await firewall.release();
      const next = await subject.make();
      assert.notEqual((await next.attach())?.empty, true);
      await expectHeld(next, [standing]);
      await next.detach();
    });

    test("apply opens, list reads it back with the time left", async (firewall, subject) => {
      await firewall.attach();
      const leases = [
        lease(firewall, 1, "tcp", 22, subject.now() + 60_000),
        lease(firewall, 2, "udp", 1194, subject.now() + 90_500),
      ];
      await firewall.apply(change({ open: leases }));
      await expectHeld(firewall, leases);
      const { count } = await firewall.check();
      assert.ok(count === undefined || count === 2);
    });

    test("addresses of every kind are read back as they were written", async (firewall, subject) => {
      await firewall.attach();
      const { families } = firewall.capabilities;
      const texts = [
        ...(families.includes("ipv4") ? ["10.0.0.1", "192.0.2.255", "1.2.3.4"] : []),
        ...(families.includes("ipv6") ? ["fd91::2", "2001:db8::", "2001:db8:0:1::", "::1:2:3", "fe80::1"] : []),
      ];
      const leases = texts.map((text) => ({
        ...lease(firewall, 1, "tcp", 22, subject.now() + 60_000),
        address: parseAddress(text),
      }));
      await firewall.apply(change({ open: leases }));
      await expectHeld(firewall, leases);
    });

    test("renewing moves the deadline and makes no second lease", async (firewall, subject) => {
      await firewall.attach();
      const first = lease(firewall, 1, "tcp", 22, subject.now() + 30_000);
      const later = { ...first, deadline: subject.now() + 300_000 };
      await firewall.apply(change({ open: [first] }));
      await firewall.apply(change({ open: [later], before: [first] }));
      await expectHeld(firewall, [later]);
      await firewall.apply(change({ open: [first], before: [later] }));
      await expectHeld(firewall, [first]);
    });

    test("renewing with the time that it had before moves the deadline all the same", async (firewall, subject) => {
      const unit = unitOf(firewall, subject);
      await firewall.attach();
      const first = lease(firewall, 1, "tcp", 22, subject.now() + 2 * unit);
      await firewall.apply(change({ open: [first] }));
      await pass(subject, 1.2 * unit);
      const again = { ...first, deadline: subject.now() + 2 * unit };
      await firewall.apply(change({ open: [again], before: [first] }));
      await pass(subject, 1.3 * unit);
      await expectHeld(firewall, [again]);
    });

    test("the kernel ends a lease on its deadline, with nobody's help", async (firewall, subject) => {
      const unit = unitOf(firewall, subject);
      await firewall.attach();
      const short = lease(firewall, 1, "tcp", 22, subject.now() + 2 * unit);
      const long = lease(firewall, 2, "tcp", 22, subject.now() + 60 * unit);
      await firewall.apply(change({ open: [short, long] }));
      await pass(subject, unit);
      await expectHeld(firewall, [short, long]);
      await expectEnd(firewall, subject, short, [long]);
    });

    test("it takes the shortest and the longest time, and the shortest ends too", async (firewall, subject) => {
      await firewall.attach();
      const { maxTimeout, expiry } = firewall.capabilities;
      const longest = lease(firewall, 1, "tcp", 22, subject.now() + maxTimeout * 1000);
      const shortest = lease(firewall, 2, "tcp", 22, subject.now() + 1);
      await firewall.apply(change({ open: [longest, shortest] }));
      if (expiry === "core") {
        // It may be over before it is written, and then need not be.
        await firewall.apply(change({ close: [shortest], before: [shortest] }));
        return await expectHeld(firewall, [longest]);
      }
      unitOf(firewall, subject);
      await expectEnd(firewall, subject, shortest, [longest]);
    });

    test("closing closes, and closing what is closed is no error", async (firewall, subject) => {
      await firewall.attach();
      const leases = [1, 2, 3].map((host) => lease(firewall, host, "tcp", 22, subject.now() + 60_000));
      await firewall.apply(change({ open: leases }));
      await firewall.apply(change({ close: leases.slice(0, 2), before: leases.slice(0, 2) }));
      await firewall.apply(change({ close: leases.slice(0, 2) }));
      await expectHeld(firewall, leases.slice(2));
    });

    test("an empty change changes nothing", async (firewall) => {
      await firewall.attach();
      await firewall.apply(change({}));
      await expectHeld(firewall, []);
    });

    test("a change of thousands is one change", async (firewall, subject) => {
      await firewall.attach();
      const leases = Array.from({ length: 3000 }, (_, host) =>
        lease(firewall, host + 1, "tcp", 22, subject.now() + 600_000),
      );
      const start = performance.now();
      await firewall.apply(change({ open: leases }));
      assert.ok(performance.now() - start < APPLY_LIMIT, `core waits for apply ${APPLY_LIMIT / 1000} s and no longer`);
      assert.equal((await firewall.list()).leases.length, 3000);
      await firewall.apply(change({ close: leases, before: leases }));
      await expectHeld(firewall, []);
    });

    test("as many changes as it has lanes go at the same time, and a check beside them", async (firewall, subject) => {
      const { lanes = 1 } = firewall.capabilities;
      await firewall.attach();
      const leases = Array.from({ length: 600 * lanes }, (_, host) =>
        lease(firewall, host + 1, "tcp", 22, subject.now() + 600_000),
      );
      const parts = Array.from({ length: lanes }, (_, lane) => leases.slice(lane * 600, lane * 600 + 600));
      const look = () => (lanes > 1 ? firewall.check() : undefined);
      const [checked] = await Promise.all([look(), ...parts.map((open) => firewall.apply(change({ open })))]);
      assert.deepEqual(checked?.missing ?? [], []);
      assert.equal((await firewall.list()).leases.length, leases.length);
      await Promise.all(parts.map((close) => firewall.apply(change({ close, before: close }))));
      await expectHeld(firewall, []);
    });

    test("what one change holds is in the kernel or, when it is refused, none of it is", async (firewall, subject) => {
      await firewall.attach();
      const standing = lease(firewall, 9, "tcp", 22, subject.now() + 60_000);
      const closing = lease(firewall, 8, "tcp", 22, subject.now() + 60_000);
      await firewall.apply(change({ open: [standing, closing] }));
      const [good, bad] = subject.refused?.() ?? foreigners(firewall, subject.now());
      const moved = { ...standing, deadline: subject.now() + 500_000 };
      const failure = firewall.apply({ open: [good, moved, bad], close: [closing], before: [standing, closing] });
      await assert.rejects(
        failure,
        (error) => isWkfsError(error, "FIREWALL_FAILED") || isWkfsError(error, "FIREWALL_FULL"),
      );
      await expectHeld(firewall, [standing, closing]);
    });

    test("a change is undone by its inverse", async (firewall, subject) => {
      await firewall.attach();
      const standing = lease(firewall, 1, "tcp", 22, subject.now() + 60_000);
      await firewall.apply(change({ open: [standing] }));
      const both = change({
        open: [
          { ...standing, deadline: subject.now() + 300_000 },
          lease(firewall, 2, "tcp", 22, subject.now() + 60_000),
        ],
        before: [standing],
      });
      await firewall.apply(both);
      await firewall.apply(inverse(both));
      await expectHeld(firewall, [standing]);
    });

    test("check misses leases that are gone", async (firewall, subject) => {
      await firewall.attach();
      const [first, second, third] = [1, 2, 3].map((host) =>
        lease(firewall, host, "tcp", 22, subject.now() + 60_000),
      ) as [Lease, Lease, Lease];
      await firewall.apply(change({ open: [first, second] }));
      const { absent = [], count } = await firewall.check([first, second, third]);
      if (count === undefined) assert.deepEqual(absent.map(leaseId), [leaseId(third)]);
      else assert.deepEqual({ count, absent }, { count: 2, absent: [] });
      assert.deepEqual((await firewall.check([first, second])).absent ?? [], []);
    });

    test("check and list change nothing", async (firewall, subject) => {
      await firewall.attach();
      const standing = lease(firewall, 1, "tcp", 22, subject.now() + 60_000);
      await firewall.apply(change({ open: [standing] }));
      await expectHeld(firewall, [standing]);
      const before = await subject.snapshot?.();
      await firewall.check([standing, lease(firewall, 2, "tcp", 22, subject.now() + 60_000)]);
      await firewall.list();
      assert.equal(await subject.snapshot?.(), before);
      await expectHeld(firewall, [standing]);
    });

    test("apply resolves when the kernel has accepted it: another process sees it at once", async (firewall, subject) => {
      const other = await subject.make();
      await firewall.attach();
      await other.attach();
      const leases = [1, 2].map((host) => lease(firewall, host, "tcp", 22, subject.now() + 60_000));
      await firewall.apply(change({ open: leases }));
      await expectHeld(other, leases);
      await firewall.apply(change({ close: leases.slice(0, 1), before: leases.slice(0, 1) }));
      await expectHeld(other, leases.slice(1));
      await other.release();
    });

    test("check and list tell what the kernel holds, whoever changed it", async (firewall, subject) => {
      const other = await subject.make();
      await firewall.attach();
      await other.attach();
      const [mine, theirs] = [1, 2].map((host) => lease(firewall, host, "tcp", 22, subject.now() + 60_000)) as [
        Lease,
        Lease,
      ];
      await firewall.apply(change({ open: [mine] }));
      await other.apply(change({ open: [theirs], close: [mine], before: [mine] }));
      await expectHeld(other, [theirs]);
      await expectHeld(firewall, [theirs]);
      const { count, absent = [] } = await firewall.check([mine, theirs]);
      if (count === undefined) assert.deepEqual(absent.map(leaseId), [leaseId(mine)]);
      else assert.equal(count, 1);
      await other.release();
    });

    test("a process that dies leaves all that it applied", async (firewall, subject) => {
      await firewall.attach();
      const leases = [1, 2].map((host) => lease(firewall, host, "tcp", 22, subject.now() + 60_000));
      await firewall.apply(change({ open: leases }));
      // It is not asked to release anything, as after kill -9.
      const next = await subject.make();
      await next.attach();
      await expectHeld(next, leases);
      assert.deepEqual((await next.check()).missing, []);
      await next.detach();
    });

    test("a restart takes over what is open", async (firewall, subject) => {
      await firewall.attach();
      const standing = lease(firewall, 1, "tcp", 22, subject.now() + 60_000);
      await firewall.apply(change({ open: [standing] }));
      await firewall.release();
      await firewall.release();
      const next = await subject.make();
      await next.attach();
      await expectHeld(next, [standing]);
      await next.detach();
    });

    test("detach is the exact undo, also of a former run, and idempotent", async (firewall, subject) => {
      const before = await subject.snapshot?.();
      await firewall.attach();
      await firewall.apply(change({ open: [lease(firewall, 1, "tcp", 22, subject.now() + 60_000)] }));
      await firewall.release();
      const other = await subject.make();
      await other.detach();
      await other.detach();
      assert.equal(await subject.snapshot?.(), before);
      const again = await subject.make();
      await again.attach();
      await expectHeld(again, []);
      await again.detach();
    });

    test("harm is noticed, says in words what it is, and attach mends it", async (firewall, subject) => {
      for (const [what, harm] of Object.entries(needed(subject.harm, "harm"))) {
        await firewall.attach();
        const standing = lease(firewall, 1, "tcp", 22, subject.now() + 60_000);
        await firewall.apply(change({ open: [standing] }));
        await expectHeld(firewall, [standing]);
        await harm();
        const { missing, count } = await firewall.check();
        assert.ok(missing.length > 0 || count === 0, `${what} was not noticed`);
        assert.deepEqual((await firewall.list()).missing, missing, what);
        await firewall.attach();
        await firewall.apply(change({ open: [standing] }));
        assert.deepEqual((await firewall.check()).missing, [], what);
        await expectHeld(firewall, [standing]);
      }
    });

    test("two instances leave each other alone", async (firewall, subject) => {
      const second = await needed(subject.makeSecond, "makeSecond").call(subject);
      await firewall.attach();
      await second.attach();
      const one = lease(firewall, 1, "tcp", 22, subject.now() + 60_000);
      const two = lease(firewall, 2, "tcp", 22, subject.now() + 60_000);
      await firewall.apply(change({ open: [one] }));
      await second.apply(change({ open: [two] }));
      await expectHeld(firewall, [one]);
      await expectHeld(second, [two]);
      await second.detach();
      await expectHeld(firewall, [one]);
    });
  });
}

/** Milliseconds that core waits for `apply`. */
const APPLY_LIMIT = 10_000;

/** Milliseconds that are long enough to see a lease of this kernel end, and short enough to wait for. */
function unitOf({ capabilities }: Firewall, subject: FirewallUnderTest): number {
  const { expiry, resolution } = capabilities;
  if (expiry === "core") throw new Inapplicable("core ends its leases");
  if (subject.pass === undefined && resolution > 1000) throw new Inapplicable("too slow without pass");
  return Math.max(1000, resolution);
}

/** Lets time pass for the one under test. A real kernel tells nobody when an element ends, so its own time must go by. */
async function pass(subject: FirewallUnderTest, milliseconds: number): Promise<void> {
  if (subject.pass !== undefined) return await subject.pass(milliseconds);
  const before = subject.now();
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
  assert.ok(subject.now() > before, "its time stands still: give the suite a pass that moves it");
}

/** Waits until this lease is gone, which is not before its deadline and soon after, and the others are not. */
async function expectEnd(
  firewall: Firewall,
  subject: FirewallUnderTest,
  ending: Lease,
  others: readonly Lease[],
): Promise<void> {
  const last = ending.deadline + 2 * firewall.capabilities.resolution + 1000;
  for (;;) {
    // By the time after the reading: what was missing in it had not ended before that.
    const { leases } = await firewall.list();
    const now = subject.now();
    if (!leases.some((held) => leaseId(held) === leaseId(ending))) {
      assert.ok(now >= ending.deadline - 100, `it ended ${ending.deadline - now} ms early`);
      return await expectHeld(firewall, others);
    }
    assert.ok(now < last, `${leaseId(ending)} is open ${now - ending.deadline} ms after its deadline`);
    await pass(subject, 100);
  }
}

function change(parts: Partial<FirewallChange>): FirewallChange {
  return { open: [], close: [], before: [], ...parts };
}

/** A lease of a host that the firewall takes; equal numbers give equal hosts. */
function lease(firewall: Firewall, host: number, protocol: Protocol, number: number, deadline: number): Lease {
  const text = firewall.capabilities.families.includes("ipv4")
    ? `10.9.${host >> 8}.${host & 255}`
    : `fd91::${host.toString(16)}`;
  return {
    address: parseAddress(text),
    port: { protocol, number },
    client: "suite",
    openedAt: deadline - 60_000,
    deadline,
  };
}

/** A good lease, and one of a family that the firewall does not take; where it takes both, of a port that is none. */
function foreigners(firewall: Firewall, now: number): readonly [Lease, Lease] {
  const good = lease(firewall, 20, "tcp", 22, now + 60_000);
  if (firewall.capabilities.families.length > 1) return [good, { ...good, port: { protocol: "tcp", number: 70_000 } }];
  const text = good.address.family === "ipv4" ? "fd91::99" : "10.9.9.9";
  return [good, { ...good, address: parseAddress(text) }];
}

async function expectHeld(firewall: Firewall, leases: readonly Lease[]): Promise<void> {
  const { leases: held } = await firewall.list();
  const ids = (keys: readonly Parameters<typeof leaseId>[0][]) => keys.map(leaseId).toSorted();
  assert.deepEqual(ids(held), ids(leases));
  const { resolution, expiry } = firewall.capabilities;
  for (const { deadline, ...key } of held) {
    if (deadline === undefined) {
      assert.equal(expiry, "core", `${leaseId(key)} has no deadline, though the kernel ends leases`);
      continue;
    }
    const wanted = leases.find((one) => leaseId(one) === leaseId(key))!.deadline;
    // One step for rounding when it was written, one for reading, and the time that the test took.
    const off = deadline - wanted;
    assert.ok(Math.abs(off) <= 2 * resolution + 1000, `${leaseId(key)} ends ${off} ms off its deadline`);
  }
}
