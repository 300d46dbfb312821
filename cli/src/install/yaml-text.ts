/** Words that YAML takes for something else than text. */
const NOT_TEXT = /^(true|false|null|yes|no|on|off|y|n)$/i;

/** A value as it stands in YAML, on one line. Text is plain where that is safe, else in the quotes of JSON, which YAML takes. */
export function yamlValue(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(yamlValue).join(", ")}]`;
  if (typeof value === "object" && value !== null) return yamlMapping(value);
  if (typeof value !== "string") return String(value);
  return /^[A-Za-z/][\w./@-]*$/.test(value) && !NOT_TEXT.test(value) ? value : JSON.stringify(value);
}

/** `{ use: iptables, mode: guard }`: a mapping on one line, without what is undefined. */
export function yamlMapping(mapping: object): string {
  const pairs = Object.entries(mapping).filter(([, value]) => value !== undefined);
  return `{ ${pairs.map(([key, value]) => `${key}: ${yamlValue(value)}`).join(", ")} }`;
}
