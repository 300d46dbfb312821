/** Words that YAML takes for something else than text. */
const NOT_TEXT = /^(true|false|null|yes|no|on|off|y|n)$/i;

/** A value as it stands in YAML. Text is plain where that is safe, else in the quotes of JSON, which YAML takes. */
export function yamlValue(value: string | number | readonly (string | number)[]): string {
  if (typeof value === "number") return String(value);
  if (typeof value !== "string") return `[${value.map((item) => yamlValue(item)).join(", ")}]`;
  return /^[A-Za-z/][\w./@-]*$/.test(value) && !NOT_TEXT.test(value) ? value : JSON.stringify(value);
}

interface Mapping {
  readonly [key: string]: string | number | readonly (string | number)[] | Mapping | undefined;
}

/** `{ use: iptables, mode: guard }`: a mapping on one line, without what is undefined. */
export function yamlMapping(mapping: Mapping): string {
  const pairs = Object.entries(mapping).flatMap(([key, value]) =>
    value === undefined ? [] : [`${key}: ${isMapping(value) ? yamlMapping(value) : yamlValue(value)}`],
  );
  return `{ ${pairs.join(", ")} }`;
}

function isMapping(value: NonNullable<Mapping[string]>): value is Mapping {
  return typeof value === "object" && !Array.isArray(value);
}
