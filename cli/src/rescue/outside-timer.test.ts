import { expect, it } from "vitest";
import { unitArgv } from "./outside-timer.ts";

it("has systemd run the rescue of this activation a second after its end, whatever is in the paths", () => {
  const argv = unitArgv({
    stateDir: "/var/lib/my state",
    configFile: "/etc/wkfs/wkfs.yaml",
    dataDir: "/opt/plugins",
    activation: "one",
    seconds: 60,
  });
  expect(argv.slice(0, 3)).toEqual(["systemd-run", "--quiet", "--collect"]);
  expect(argv).toContain("--on-active=61s");
  expect(argv).toContain("--setenv=WKFS_DATA_DIR=/opt/plugins");
  expect(argv.slice(argv.indexOf("--") + 3)).toEqual(
    "rescue --if-unconfirmed --activation one --config /etc/wkfs/wkfs.yaml --state-dir"
      .split(" ")
      .concat("/var/lib/my state"),
  );
});
