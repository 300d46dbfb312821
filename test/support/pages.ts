import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url));

/** The documents of the repository, by their paths in it. */
export const PAGES: readonly string[] = [
  "README.md",
  "ARCHITECTURE.md",
  "PLUGINS.md",
  "SECURITY.md",
  "CONTRIBUTING.md",
  "CHANGELOG.md",
  ...globSync("docs/**/*.md", { cwd: root }).toSorted(),
];

export const textOf = (page: string): string => readFileSync(join(root, page), "utf8");

/** A block of code of a page. */
export interface Block {
  readonly page: string;
  /** Of its first line in the page, counted from 1. */
  readonly line: number;
  readonly language: string;
  /** What stands behind the language: for a shell, how a test runs it. See CONTRIBUTING.md. */
  readonly info: string;
  readonly text: string;
}

function blocksOf(page: string): Block[] {
  const whole = textOf(page);
  return Array.from(whole.matchAll(/^```(\w+)(?: +(.*))?\n([^]*?)^```$/gm), (match) => ({
    page,
    line: whole.slice(0, match.index).split("\n").length + 1,
    language: match[1]!,
    info: match[2]?.trim() ?? "",
    text: match[3]!,
  }));
}

export const blocks: readonly Block[] = PAGES.flatMap(blocksOf);
export const ofLanguage = (...languages: readonly string[]): readonly Block[] =>
  blocks.filter(({ language }) => languages.includes(language));
