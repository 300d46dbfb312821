import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { changedYaml } from "./changed-yaml.ts";
import { diffLines } from "./diff.ts";

const FILE = `# Mine.
protect:
  tcp: [22, 5432] # both
  udp: []
gateway: { listen: "127.0.0.1:8080", path: /x, keys: v1.json }
transport:
  # by hand
  use: unix-socket
  path: /run/wkfs/d.sock
firewall:
  - { use: iptables, size: 1000 } # large
  - use: ip6tables
# What is open.
store: { use: sqlite, path: /s }
notify: []
`;

/** What changes in the file when the value changes in this way. */
function changed(change: (value: Record<string, never>) => void): { lines: string[]; value: unknown; wanted: unknown } {
  const [before, after] = [parse(FILE), parse(FILE)] as [object, Record<string, never>];
  change(after);
  const text = changedYaml(FILE, before, after);
  return { lines: diffLines(FILE, text).filter((line) => !line.startsWith(" ")), value: parse(text), wanted: after };
}

describe("a changed configuration", () => {
  it.each<[string, (value: never) => void, string[]]>([
    ["nothing", () => {}, []],
    [
      "a list of ports",
      (value: { protect: { tcp: number[] } }) => void value.protect.tcp.pop(),
      ["-  tcp: [22, 5432] # both", "+  tcp: [22] # both"],
    ],
    [
      "a text",
      (value: { gateway: object }) => void Object.assign(value.gateway, { path: "/y" }),
      [
        '-gateway: { listen: "127.0.0.1:8080", path: /x, keys: v1.json }',
        '+gateway: { listen: "127.0.0.1:8080", path: /y, keys: v1.json }',
      ],
    ],
    [
      "a list that was empty",
      (value: { notify: object[] }) =>
        void value.notify.push({ use: "syslog", to: "/dev/log" }, { use: "exec", command: ["/a b"] }),
      ["-notify: []", "+notify:", "+  - { use: syslog, to: /dev/log }", '+  - { use: exec, command: ["/a b"] }'],
    ],
    [
      "a section that was not there",
      (value: object) => void Object.assign(value, { control: { path: "/run/c.sock" } }),
      ["+control: { path: /run/c.sock }", "+"],
    ],
  ] as never)("says %s otherwise, and leaves the rest as it is", (_, change, lines) => {
    const result = changed(change as (value: Record<string, never>) => void);
    expect(result.value).toEqual(result.wanted);
    expect(result.lines).toEqual(lines);
  });

  it.each<[string, (value: never) => void]>([
    [
      "a list of sections",
      (value: { firewall: object[] }) => void value.firewall.splice(0, 2, { use: "nftables", parent: { table: "t" } }),
    ],
    ["a key that was not there", (value: { protect: object }) => void Object.assign(value.protect, { maxTime: 60 })],
    [
      "a section of several lines",
      (value: object) => void Object.assign(value, { transport: { use: "localhost-tcp", port: 1 } }),
    ],
    ["a section that goes", (value: { transport?: object }) => void delete value.transport],
  ] as never)("means what it shall with %s", (_, change) => {
    const result = changed(change as (value: Record<string, never>) => void);
    expect(result.value).toEqual(result.wanted);
    expect(result.lines.join("\n")).not.toMatch(/Mine|What is open|both/);
  });
});

it("a diff shows what differs, with the line around it", () => {
  expect(diffLines("a\nb\nc\nd\ne", "a\nb\nC\nd\ne\nf")).toEqual([" b", "-c", "+C", " d", " e", "+f"]);
  expect(diffLines("a", "a")).toEqual([]);
});
