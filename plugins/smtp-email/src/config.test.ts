import { describe, expect, it } from "vitest";
import { configSchema } from "./config.ts";

const LEAST = { host: "mail.example.org", from: "wkfs@example.org", to: ["ops@example.org"] };
const accepts = (more: object): boolean => configSchema.safeParse({ ...LEAST, ...more }).success;

describe("the configuration", () => {
  it("has defaults: STARTTLS on 587, TLS at once on 465, and TLS by all means with a login", () => {
    expect(configSchema.parse(LEAST)).toMatchObject({ port: 587, secure: false, requireTLS: false, timeout: 30 });
    expect(configSchema.parse({ ...LEAST, port: 465 }).secure).toBe(true);
    expect(configSchema.parse({ ...LEAST, port: 465, secure: false }).secure).toBe(false);
    expect(configSchema.parse({ ...LEAST, user: "a", password: "/b" }).requireTLS).toBe(true);
    expect(configSchema.parse({ ...LEAST, ca: "/ca.pem" }).requireTLS).toBe(true);
  });

  it.each([
    { from: "root@localhost" },
    { to: Array<string>(50).fill("ops+wkfs@mail.example.org") },
    { host: "192.0.2.1" },
    { host: "2001:db8::1" },
    { host: "[2001:db8::1]" },
    { secure: true, requireTLS: false, user: "a", password: "/b" },
  ])("takes %j", (more) => expect(accepts(more)).toBe(true));

  it.each([
    { from: "wkfs" },
    { from: "a@b@c" },
    { from: "wkfs@example.org\r\nBcc: eve@example.org" },
    { from: "Eve <eve@example.org>" },
    { from: "a,b@example.org" },
    { from: "a@" },
    { from: `${"a".repeat(250)}@example.org` },
    { to: [] },
    { to: "ops@example.org" },
    { to: Array<string>(51).fill("ops@example.org") },
    { host: "" },
    { host: "mail example" },
    { host: "mail\r\nQUIT" },
    { port: 0 },
    { port: 65_536 },
    { port: "25" },
    { timeout: 0 },
    { timeout: 61 },
    { user: "a" },
    { password: "/b" },
    { user: "a", password: "/b", requireTLS: false },
    { subjectPrefix: "a\r\nb" },
    { subjectprefix: "a" },
  ])("refuses %j", (more) => expect(accepts(more)).toBe(false));
});
