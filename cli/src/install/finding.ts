/** Something that the administrator should know before they go on. */
export interface Finding {
  /** `problem`: what they want will not work; `warning`: it may not, or for some; `note`: what it means. */
  readonly level: "problem" | "warning" | "note";
  readonly text: string;
}

/** The same thing about several ports is said once. `text` is given their names. */
export class Findings {
  readonly #found = new Map<string, { level: Finding["level"]; ports: Set<string>; text: (ports: string) => string }>();

  add(level: Finding["level"], about: string, port: string, text: (ports: string) => string): void {
    const entry = this.#found.get(about) ?? { level, ports: new Set(), text };
    entry.ports.add(port);
    this.#found.set(about, entry);
  }

  all(): Finding[] {
    return [...this.#found.values()].map(({ level, ports, text }) => ({ level, text: text([...ports].join(", ")) }));
  }
}
