/** Brings what the parts of a role have to tell to the role, which is made after them. */
export class Feed<Event> {
  #listener: ((event: Event) => void) | undefined;

  /** Tells; bound, so that it can be handed on. */
  readonly tell = (event: Event): void => this.#listener?.(event);

  /** From now on `listener` is told. There is one. */
  follow(listener: (event: Event) => void): void {
    this.#listener = listener;
  }
}
