/** The two functions of a test runner that a suite needs; vitest, node:test, mocha and jest have them. */
export interface TestRunner {
  readonly describe: (name: string, body: () => void) => void;
  readonly it: (name: string, body: () => Promise<void>) => void;
}
