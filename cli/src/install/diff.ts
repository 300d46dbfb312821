/** The lines that differ between two texts, as `diff` marks them, with a line before and after each place. */
export function diffLines(before: string, after: string): string[] {
  const [a, b] = [before.split("\n"), after.split("\n")];
  // Length of the longest common rest of both, from each pair of lines on.
  const common = Array.from({ length: a.length + 1 }, () => Array.from({ length: b.length + 1 }, () => 0));
  for (let i = a.length - 1; i >= 0; i -= 1)
    for (let j = b.length - 1; j >= 0; j -= 1)
      common[i]![j] = a[i] === b[j] ? common[i + 1]![j + 1]! + 1 : Math.max(common[i + 1]![j]!, common[i]![j + 1]!);
  const marked: string[] = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      marked.push(` ${a[i]}`);
      i += 1;
      j += 1;
    } else if (j >= b.length || (i < a.length && common[i + 1]![j]! >= common[i]![j + 1]!)) {
      marked.push(`-${a[i]}`);
      i += 1;
    } else {
      marked.push(`+${b[j]}`);
      j += 1;
    }
  }
  const near = (index: number) => [index - 1, index, index + 1].some((at) => /^[-+]/.test(marked[at] ?? ""));
  return marked.filter((_, index) => near(index));
}
