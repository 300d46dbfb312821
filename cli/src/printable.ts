/** What steers a terminal, or turns text around: control and format characters but the line feed and the tab; Unicode's categories. */
const UNPRINTABLE = /(?![\n\t])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/**
 * Text as it may go to a terminal. Names and errors can be those of a plugin, a server or a client: what they have of escape
 * sequences is shown, as `\x1b`, and does nothing.
 */
export function printable(text: string): string {
  return text.replaceAll(UNPRINTABLE, (character) => {
    const code = character.codePointAt(0)!.toString(16);
    return code.length <= 2 ? `\\x${code.padStart(2, "0")}` : `\\u{${code}}`;
  });
}
