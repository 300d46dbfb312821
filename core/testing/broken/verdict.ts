import type { TestRunner } from "../runner.ts";

/** What a suite says of a subject: the checks that failed, with their reasons, and those that were skipped. */
export interface Verdict {
  readonly failed: Readonly<Record<string, string>>;
  readonly skipped: readonly string[];
  readonly passed: number;
}

/** Runs a suite to its end and collects what it says, instead of telling a test runner. */
export async function verdictOf(suite: (runner: TestRunner) => void, timeLimit = 5000): Promise<Verdict> {
  const checks: [string, (...given: readonly unknown[]) => Promise<void>][] = [];
  suite({ describe: (_, body) => body(), it: (name, body) => void checks.push([name, body]), timeLimit });
  const failed: Record<string, string> = {};
  const skipped: string[] = [];
  for (const [name, body] of checks) {
    await body({ skip: () => void skipped.push(name) }).catch(
      (error: unknown) => (failed[name] = error instanceof Error ? error.message : String(error)),
    );
  }
  return { failed, skipped, passed: checks.length - skipped.length - Object.keys(failed).length };
}
