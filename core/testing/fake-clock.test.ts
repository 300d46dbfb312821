import { describe, expect, it } from "vitest";
import { FakeClock } from "./fake-clock.ts";

describe("a fake clock", () => {
  it("stands until it is moved, and fires timers in the order of their time, each at its own", async () => {
    const clock = new FakeClock(1000);
    const fired: [string, number][] = [];
    const timer = (name: string, delay: number) => clock.setTimer(delay, () => void fired.push([name, clock.now()]));
    timer("late", 500);
    timer("early", 100);
    timer("early too", 100);
    timer("never", 501);
    await clock.advance(0);
    expect(fired).toEqual([]);
    await clock.advance(500);
    expect(fired).toEqual([
      ["early", 1100],
      ["early too", 1100],
      ["late", 1500],
    ]);
    expect({ now: clock.now(), steady: clock.steady(), waiting: clock.waiting }).toEqual({
      now: 1500,
      steady: 1500,
      waiting: 1,
    });
  });

  it("lets promises go on between two timers, and fires what they set meanwhile", async () => {
    const clock = new FakeClock(0);
    const fired: number[] = [];
    const again = (): void =>
      void clock.setTimer(10, () => {
        fired.push(clock.now());
        void Promise.resolve().then(() => fired.length < 5 && again());
      });
    again();
    await clock.advance(100);
    expect(fired).toEqual([10, 20, 30, 40, 50]);
  });

  it("forgets a timer that is called off, also one of the same moment", async () => {
    const clock = new FakeClock();
    const fired: string[] = [];
    clock.setTimer(10, () => {
      fired.push("first");
      cancel();
    });
    const cancel = clock.setTimer(10, () => fired.push("second"));
    await clock.advance(10);
    expect(fired).toEqual(["first"]);
    expect(clock.waiting).toBe(0);
  });

  it("is set without a timer noticing, as by an administrator", async () => {
    const clock = new FakeClock(0);
    const fired: number[] = [];
    clock.setTimer(10, () => void fired.push(clock.steady()));
    clock.set(-3_600_000);
    expect(clock.now()).toBe(-3_600_000);
    await clock.advance(10);
    expect(fired).toEqual([10]);
  });
});
