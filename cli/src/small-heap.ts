import { setFlagsFromString } from "node:v8";

/**
 * Keeps the heap of a daemon near what it holds. V8 by itself lets it grow to three times that, mostly garbage of finished
 * knocks; but a large process starts its helpers slowly (fork copies its page tables), and memory is what a guard
 * should not need. To be called when everything is loaded: the space for young objects stays as large as it is then.
 *
 * `node --v8-options` lists both. With 100,000 leases, 0.75 instead of 1.9 KB a lease (bench/README.md).
 */
export function keepHeapSmall(): void {
  setFlagsFromString("--semi-space-growth-factor=1");
  setFlagsFromString("--heap-growing-percent=50");
}
