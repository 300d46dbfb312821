/** Runs works one after the other, in the order in which they came. */
export class Serial {
  #tail: Promise<void> = Promise.resolve();

  /** Resolves or rejects as the work does; a failed one holds up nobody. */
  run<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#tail.then(work);
    this.#tail = result.then(
      () => {},
      () => {},
    );
    return result;
  }
}
