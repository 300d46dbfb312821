/** Rows of equal columns: on a terminal a table under a header, in a pipe lines whose columns are parted by tabs. */
export function rows(header: readonly string[], cells: readonly (readonly string[])[], terminal: boolean): string[] {
  if (!terminal) return cells.map((row) => row.join("\t"));
  const lines = [header, ...cells];
  const widths = header.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  return lines.map((line) =>
    line
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join("  ")
      .trimEnd(),
  );
}
