import fc from "fast-check";
import ipaddr from "ipaddr.js";
import { describe, expect, it } from "vitest";
import { formatAddress, networkContains, parseAddress, parseNetwork } from "./address.ts";

describe("an address", () => {
  it.each([
    ["10.91.0.2", "ipv4", "10.91.0.2"],
    ["fd91::2", "ipv6", "fd91::2"],
    ["FD91:0:0:0:0:0:0:2", "ipv6", "fd91::2"],
    ["2001:db8::", "ipv6", "2001:db8::"],
    ["2001:db8:0:1::", "ipv6", "2001:db8:0:1::"],
    ["2001:db8:0:0:1:0:0:1", "ipv6", "2001:db8::1:0:0:1"],
    ["::1", "ipv6", "::1"],
    ["::ffff:192.0.2.1", "ipv4", "192.0.2.1"],
    ["::FFFF:c000:0201", "ipv4", "192.0.2.1"],
    ["fe80::1%eth0", "ipv6", "fe80::1"],
  ])("%s is %s %s", (text, family, canonical) => {
    const address = parseAddress(text);
    expect(address).toEqual({ family, text: canonical, length: family === "ipv4" ? 32 : 128 });
    expect(formatAddress(address)).toBe(canonical);
  });

  it.each([
    "",
    "10.0.0",
    "10.0.0.256",
    "010.0.0.1",
    "0x7f.0.0.1",
    "2130706433",
    "10.0.0.1/8",
    "10.0.0.1 ",
    "10.0.0.1\n",
    "10.0.0.1\0",
    "0.0.0.0",
    "255.255.255.255",
    "224.0.0.1",
    "::",
    "ff02::1",
    "fd91:::2",
    "1::2::3",
    "[::1]",
    "::1%",
    "%eth0",
    "localhost",
    "a".repeat(1000),
    "::ffff:0.0.0.0",
  ])("is not %j", (text) => {
    expect(() => parseAddress(text)).toThrow(
      expect.objectContaining({ code: "ADDRESS_INVALID", hint: expect.any(String) }),
    );
  });

  it("takes of dotted decimals what the library takes, but for those that no client has", () => {
    const octet = fc.oneof(
      fc.nat(300),
      fc.constantFrom("", "00", "01", "0x1", "1e1", " 1", "256", "223", "224", "240", "255"),
    );
    fc.assert(
      fc.property(fc.array(octet, { minLength: 3, maxLength: 5 }), (octets) => {
        const text = octets.join(".");
        const known = ipaddr.IPv4.isValidFourPartDecimal(text) ? ipaddr.IPv4.parse(text) : undefined;
        if (known === undefined || ["unspecified", "broadcast", "multicast"].includes(known.range()))
          expect(() => parseAddress(text)).toThrow(expect.objectContaining({ code: "ADDRESS_INVALID" }));
        else expect(parseAddress(text)).toEqual({ family: "ipv4", text: known.toString(), length: 32 });
      }),
      { numRuns: 3000 },
    );
  });

  it("reads its own notation, for every IPv6 address", () => {
    fc.assert(
      fc.property(fc.ipV6(), (text) => {
        let first;
        try {
          first = parseAddress(text);
        } catch {
          return;
        }
        expect(parseAddress(first.text)).toEqual(first);
      }),
    );
  });
});

describe("a network", () => {
  it("contains the addresses of its prefix and family", () => {
    const contains = (network: string, address: string) =>
      networkContains(parseNetwork(network), parseAddress(address));
    expect(contains("10.0.0.0/8", "10.255.0.1")).toBe(true);
    expect(contains("10.0.0.0/8", "11.0.0.1")).toBe(false);
    expect(contains("192.0.2.1", "192.0.2.1")).toBe(true);
    expect(contains("192.0.2.1", "192.0.2.2")).toBe(false);
    expect(contains("2001:db8::/32", "2001:db8:1::1")).toBe(true);
    expect(contains("::/0", "10.0.0.1")).toBe(false);
    expect(contains("0.0.0.0/0", "10.0.0.1")).toBe(true);
  });

  it.each(["10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0.0.0/8/8", "::/129", "x/8", "10.0.0.0/1e1"])(
    "is not %s",
    (text) => {
      expect(() => parseNetwork(text)).toThrow(expect.objectContaining({ code: "ADDRESS_INVALID" }));
    },
  );
});
