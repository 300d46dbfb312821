/** Ports as people write them: `22, udp/1194`; undefined for anything else. Nothing is no port. */
export function parsePorts(text: string): { readonly tcp: number[]; readonly udp: number[] } | undefined {
  const ports = { tcp: new Set<number>(), udp: new Set<number>() };
  for (const word of text.split(/[\s,]+/).filter((part) => part !== "")) {
    const [, protocol = "tcp", digits] = /^(?:(tcp|udp)\/)?(\d{1,5})$/i.exec(word) ?? [];
    const number = Number(digits ?? 0);
    if (number < 1 || number > 65_535) return undefined;
    ports[protocol.toLowerCase() as "tcp" | "udp"].add(number);
  }
  return { tcp: [...ports.tcp], udp: [...ports.udp] };
}
