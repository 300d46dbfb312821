/** The two functions of a test runner that a suite needs; vitest, node:test, mocha and jest have them. */
export interface TestRunner {
  readonly describe: (name: string, body: () => void) => void;
  /** What the runner hands to the body is used to skip a test with a reason, where it is the context of vitest or node:test. */
  readonly it: (name: string, body: (...given: readonly unknown[]) => Promise<void>) => void;
  /** Milliseconds that one check may take, and 60,000 by itself: what hangs fails under its name. */
  readonly timeLimit?: number;
}

const TIME_LIMIT = 60_000;

/** Thrown by a check that cannot be made of this subject; it is skipped with the reason. */
export class Inapplicable extends Error {}

/** Registers one check of a suite. */
export function check({ it, timeLimit = TIME_LIMIT }: TestRunner, title: string, body: () => Promise<void>): void {
  // No parameter by name: mocha and jest would take it for a callback.
  it(title, async (...given) => {
    try {
      await within(timeLimit, body());
    } catch (error) {
      if (!(error instanceof Inapplicable)) throw error;
      // Of node:test it is an object, of vitest a function.
      const { skip } = Object(given[0]) as { readonly skip?: unknown };
      if (typeof skip === "function") skip.call(given[0], error.message);
    }
  });
}

/** What a member of the subject gives that may be missing; without it the check is skipped. */
export function needed<Value>(value: Value | undefined, member: string): Value {
  if (value === undefined) throw new Inapplicable(`the subject has no ${member}`);
  return value;
}

async function within(limit: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const tooLong = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`this took longer than ${limit / 1000} s`)), limit);
  });
  try {
    await Promise.race([work, tooLong]);
  } finally {
    clearTimeout(timer);
  }
}
