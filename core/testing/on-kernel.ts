import { NetworkNamespace, whyNoKernel } from "./namespace.ts";
import type { TestRunner } from "./runner.ts";

/** A test runner for what needs a kernel. */
export interface KernelRunner extends TestRunner {
  /** One test on a host of its own, which is gone afterwards with all that ran in it. */
  readonly test: (name: string, body: (host: NetworkNamespace) => Promise<void>) => void;
}

/**
 * The runner, for tests on a kernel of their own: `const { test } = onKernel({ describe, it }, "nft")`. Hand it to
 * `firewallSuite` too, whose subject then makes its own `NetworkNamespace`. Where there can be no such kernel (not root, or one of
 * these programs is missing) everything is skipped, with the reason in its title and once on stderr; with `WKFS_REQUIRE_KERNEL=1`
 * that is an error with the code `HOST_UNSUPPORTED`.
 */
export function onKernel(runner: TestRunner, ...programs: string[]): KernelRunner {
  const reason = whyNoKernel(...programs);
  const { describe, it } = reason === undefined ? runner : skipping(runner, reason);
  const test: KernelRunner["test"] = (name, body) =>
    it(name, async () => {
      await using host = await NetworkNamespace.create();
      await body(host);
    });
  return { ...runner, describe, it, test };
}

function skipping({ describe, it }: TestRunner, reason: string): Pick<TestRunner, "describe" | "it"> {
  process.stderr.write(`tests on a kernel are skipped: ${reason}\n`);
  const because = ` (skipped: ${reason})`;
  return {
    describe: (name, body) => skipOf(describe)(name + because, body),
    it: (name, body) => skipOf(it)(name + because, body),
  };
}

/** `describe.skip` and `it.skip`, which every runner has. */
function skipOf<Register extends TestRunner["describe"] | TestRunner["it"]>(register: Register): Register {
  const { skip } = register as { readonly skip?: Register };
  if (skip === undefined) throw new TypeError("this test runner cannot skip");
  return skip;
}
