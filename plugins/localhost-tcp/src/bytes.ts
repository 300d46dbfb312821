const FIRST_CAPACITY = 1024;

/**
 * Bytes that arrive in pieces, up to a limit. They are copied into one block that doubles: a peer that
 * sends single bytes costs neither an object for each nor a copy of everything for each.
 */
export class BoundedBytes {
  readonly #limit: number;
  #block = Buffer.alloc(0);
  #length = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get length(): number {
    return this.#length;
  }

  /** Takes a piece; false, and nothing taken, when it would exceed the limit. */
  append(piece: Uint8Array): boolean {
    const length = this.#length + piece.length;
    if (length > this.#limit) return false;
    if (length > this.#block.length) this.#grow(length);
    this.#block.set(piece, this.#length);
    this.#length = length;
    return true;
  }

  bytes(): Buffer {
    return this.#block.subarray(0, this.#length);
  }

  /** Forgets them, and keeps the block for what comes next. */
  clear(): void {
    this.#length = 0;
  }

  #grow(needed: number): void {
    let capacity = Math.max(FIRST_CAPACITY, this.#block.length);
    while (capacity < needed) capacity *= 2;
    const block = Buffer.alloc(Math.min(capacity, this.#limit));
    block.set(this.bytes());
    this.#block = block;
  }
}
