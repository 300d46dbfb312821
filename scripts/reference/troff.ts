/** Pieces of a man page, in the macros of man(7). Text is taken as Markdown of one line: `code` and **bold**. */

/** Text that no line of troff takes for a request, an escape or a hyphen to break at. */
export function text(markdown: string): string {
  return markdown
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll(/\[([^\]]+)\]\([^)]*\)/g, "$1")
    .replaceAll(/`([^`]*)`|\*\*([^*]+)\*\*/g, (_, code: string | undefined, strong: string | undefined) =>
      bold(code ?? strong!),
    )
    .split("\n")
    .map((line) => (/^[.']/.test(line) ? `\\&${line}` : line))
    .join("\n");
}

const bold = (words: string) => `\\fB${words}\\fR`;

export const heading = (title: string) => `.SH ${title.toUpperCase()}`;
export const subheading = (title: string) => `.SS ${text(title)}`;
export const paragraphs = (markdown: string) =>
  markdown
    .split(/\n{2,}/)
    .map((paragraph, index) => (index === 0 ? text(paragraph) : `.PP\n${text(paragraph)}`))
    .join("\n");

/** A word and what it means; `tag` is troff already. */
export const entry = (tag: string, markdown: string) => `.TP\n${tag}\n${text(markdown)}`;

/** Lines as they are. */
export const verbatim = (lines: string) => `.PP\n.RS 4\n.nf\n${text(lines.trimEnd())}\n.fi\n.RE`;

/** The first line of a page, without a date: the same sources make the same bytes. */
export const title = (name: string, section: number, version: string) =>
  `.TH ${name.toUpperCase().replaceAll("-", "\\-")} ${section} "" "wkfs ${version}" "Web Knocker Firewall Service"`;
