import { expect, it } from "vitest";
import { relayTo, relayWords } from "./relay.ts";

const MAIL = { host: "mail.example.org", port: 587 };
const HOOK = { host: "2001:db8::1", port: 443 };

it("relays are found by host and port, and by nothing like them", () => {
  const environment = {
    WKFS_RELAYS: relayWords([
      { ...MAIL, path: "/run/a" },
      { ...HOOK, path: "/run/b=c" },
    ]),
  };
  expect(relayTo(MAIL, environment)).toBe("/run/a");
  expect(relayTo(HOOK, environment)).toBe("/run/b=c");
  expect(relayTo({ ...MAIL, port: 58 }, environment)).toBeUndefined();
  expect(relayTo({ ...MAIL, host: "example.org" }, environment)).toBeUndefined();
  expect(relayTo(MAIL, {})).toBeUndefined();
});
