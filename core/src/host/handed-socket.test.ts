import { describe, expect, it } from "vitest";
import { handedSocket } from "./handed-socket.ts";

const OURS = { LISTEN_PID: String(process.pid), LISTEN_FDS: "2", LISTEN_FDNAMES: "other:localhost-tcp" };

describe("a socket that is handed over", () => {
  it("is found by its name", () => {
    expect(handedSocket("localhost-tcp", OURS)).toBe(4);
    expect(handedSocket("other", OURS)).toBe(3);
  });

  it.each([
    ["there is none", {}],
    ["it is another process's", { ...OURS, LISTEN_PID: "1" }],
    ["none has the name", { ...OURS, LISTEN_FDNAMES: "other:unknown" }],
    ["there are fewer than names", { ...OURS, LISTEN_FDS: "1" }],
  ])("is none where %s", (_, environment) => {
    expect(handedSocket("localhost-tcp", environment)).toBeUndefined();
  });
});
