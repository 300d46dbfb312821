import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, chown, lstat, mkdir, readFile, readdir, stat, symlink, unlink, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { Folder, REQUEST, RawServer, openTransport } from "../testing/peers.ts";

const soon = () => AbortSignal.timeout(10_000);
const FAILED = { name: "WkfsError", code: "TRANSPORT_FAILED", hint: expect.any(String) };
const asRoot = process.getuid?.() === 0;
const peers = fileURLToPath(new URL("../testing/peers.ts", import.meta.url));

async function listen(path: string, settings: Parameters<typeof openTransport>[1] = {}) {
  const daemon = await openTransport(path, settings);
  try {
    await daemon.listen(async () => "{}");
  } catch (error) {
    await daemon.close();
    throw error;
  }
  return daemon;
}

async function knock(path: string): Promise<string> {
  await using gateway = await openTransport(path);
  return await gateway.call(REQUEST, soon());
}

describe("the daemon's socket", () => {
  it.each([
    ["0660", 0o660],
    ["0600", 0o600],
  ])("has mode %s whatever the umask is, and stands alone in its folder", async (mode, bits) => {
    await using folder = await Folder.create();
    const umask = process.umask(0);
    try {
      await using _ = await listen(folder.in("s"), { mode });
      const found = await lstat(folder.in("s"));
      expect(found.isSocket()).toBe(true);
      expect(found.mode & 0o7777).toBe(bits);
      expect(await readdir(folder.path)).toEqual(["s"]);
    } finally {
      process.umask(umask);
    }
    expect(await readdir(folder.path)).toEqual([]);
  });

  it.skipIf(!asRoot).each([65_534, "65534"])("has the group %j", async (group) => {
    await using folder = await Folder.create();
    await using _ = await listen(folder.in("s"), { group });
    expect((await lstat(folder.in("s"))).gid).toBe(65_534);
  });

  it("has a group by name", async () => {
    await using folder = await Folder.create();
    const own = process.getegid!();
    const [name] = (await readFile("/etc/group", "utf8"))
      .split("\n")
      .find((line) => line.split(":")[2] === `${own}`)!
      .split(":");
    await using _ = await listen(folder.in("s"), { group: name! });
    expect((await lstat(folder.in("s"))).gid).toBe(own);
  });

  it("is not made for a group that is not there", async () => {
    await using folder = await Folder.create();
    await expect(listen(folder.in("s"), { group: "no such group" })).rejects.toMatchObject(FAILED);
    expect(await readdir(folder.path)).toEqual([]);
  });

  it("takes the place of a daemon that was killed, whose gateway finds it", async () => {
    await using folder = await Folder.create();
    const path = folder.in("s");
    const script = `
      import { openTransport } from ${JSON.stringify(peers)};
      const daemon = await openTransport(${JSON.stringify(path)});
      await daemon.listen(() => new Promise(() => process.stdout.write("asked")));
      process.stdout.write("ready");
    `;
    const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const ended = once(child, "exit");
    try {
      await once(child.stdout, "data");
      await using gateway = await openTransport(path);
      const call = gateway.call(REQUEST, soon()).catch((error: unknown) => error);
      await once(child.stdout, "data");
      child.kill("SIGKILL");
      expect(await call).toMatchObject(FAILED);
      await ended;
      await expect(gateway.call(REQUEST, soon())).rejects.toMatchObject({ code: "TRANSPORT_UNREACHABLE" });
      expect(await readdir(folder.path)).toEqual(["s"]);
      await using _ = await listen(path);
      expect(await gateway.call(REQUEST, soon())).toBe("{}");
      expect(await readdir(folder.path)).toEqual(["s"]);
    } finally {
      child.kill("SIGKILL");
      await ended;
    }
  });

  it("does not take the place of one that answers", async () => {
    await using folder = await Folder.create();
    await using _ = await listen(folder.in("s"));
    await expect(listen(folder.in("s"))).rejects.toMatchObject(FAILED);
    expect(await knock(folder.in("s"))).toBe("{}");
    expect(await readdir(folder.path)).toEqual(["s"]);
  });

  it("does not take the place of one that begins to listen", async () => {
    await using folder = await Folder.create();
    await mkdir(folder.in(".s.lock"), { mode: 0o700 });
    await using _ = await RawServer.open(folder.in(".s.lock/abcdef"), () => {});
    await expect(listen(folder.in("s"))).rejects.toMatchObject(FAILED);
    expect(await readdir(folder.path)).toEqual([".s.lock"]);
    expect(await readdir(folder.in(".s.lock"))).toEqual(["abcdef"]);
  });

  it("does not take the place of another program that answers", async () => {
    await using folder = await Folder.create();
    await using _ = await RawServer.open(folder.in("s"), () => {});
    await expect(listen(folder.in("s"))).rejects.toMatchObject(FAILED);
    expect(await readdir(folder.path)).toEqual(["s"]);
  });

  it("is one daemon's when many start at once, also over the socket of a dead one", async () => {
    await using folder = await Folder.create();
    for (let round = 0; round < 20; round += 1) {
      const path = folder.in(`s${round}`);
      if (round % 2 === 1) await dead(path);
      const daemons = await Promise.allSettled(Array.from({ length: 8 }, () => listen(path)));
      const listening = daemons.filter((daemon) => daemon.status === "fulfilled");
      expect(listening).toHaveLength(1);
      expect(await knock(path)).toBe("{}");
      await listening[0]!.value.close();
      expect(await readdir(folder.path)).toEqual([]);
    }
  });

  it("is made over what a daemon left that was killed as it began to listen", async () => {
    await using folder = await Folder.create();
    await mkdir(folder.in(".s.lock"), { mode: 0o700 });
    await dead(folder.in(".s.lock/abcdef"));
    await dead(folder.in("s"));
    await using _ = await listen(folder.in("s"));
    expect(await knock(folder.in("s"))).toBe("{}");
    expect(await readdir(folder.path)).toEqual(["s"]);
  });

  it.each([
    ["a file", (path: string) => writeFile(path, "mine")],
    ["a folder", (path: string) => mkdir(path)],
    ["a link that leads nowhere", (path: string) => symlink("nowhere", path)],
  ])("does not take the place of %s", async (_, make) => {
    await using folder = await Folder.create();
    await make(folder.in("s"));
    const before = await lstat(folder.in("s"));
    await expect(listen(folder.in("s"))).rejects.toMatchObject(FAILED);
    expect((await lstat(folder.in("s"))).ino).toBe(before.ino);
    expect(await readdir(folder.path)).toEqual(["s"]);
  });

  it("takes nothing away at its end that has come into its place", async () => {
    await using folder = await Folder.create();
    const daemon = await listen(folder.in("s"));
    await unlink(folder.in("s"));
    await writeFile(folder.in("s"), "mine");
    await daemon.close();
    expect(await readdir(folder.path)).toEqual(["s"]);
  });
});

describe("the folder of the socket", () => {
  it.each([0o777, 0o775, 0o757])("is refused with mode %o, on both sides", async (mode) => {
    await using folder = await Folder.create();
    await mkdir(folder.in("open"));
    await mkdir(folder.in("open/below"));
    await chmod(folder.in("open"), mode);
    await using _ = await RawServer.open(folder.in("open/theirs"), () => {});
    for (const name of ["open/s", "open/below/s"]) await expect(listen(folder.in(name))).rejects.toMatchObject(FAILED);
    await expect(knock(folder.in("open/theirs"))).rejects.toMatchObject({ code: "TRANSPORT_UNREACHABLE" });
    expect(await readdir(folder.in("open"))).toEqual(["below", "theirs"]);
  });

  it("may be sticky", async () => {
    await using folder = await Folder.create();
    await chmod(folder.path, 0o1777);
    await using _ = await listen(folder.in("s"));
    expect(await knock(folder.in("s"))).toBe("{}");
  });

  it("is made when it is not there, for nobody else to write; what is no folder is refused", async () => {
    await using folder = await Folder.create();
    await using _ = await listen(folder.in("run/s"));
    expect((await stat(folder.in("run"))).mode & 0o022).toBe(0);
    await writeFile(folder.in("file"), "");
    await expect(listen(folder.in("file/s"))).rejects.toMatchObject(FAILED);
  });

  it.skipIf(!asRoot)("is refused when it is another user's", async () => {
    await using folder = await Folder.create();
    await chown(folder.path, 65_534, 65_534);
    await expect(listen(folder.in("s"))).rejects.toMatchObject(FAILED);
    await chown(folder.path, 0, 0);
  });

  it.skipIf(!asRoot)("is refused by a gateway when it is sticky and the socket another user's", async () => {
    await using folder = await Folder.create();
    await chmod(folder.path, 0o1777);
    await using _ = await listen(folder.in("s"));
    await chown(folder.in("s"), 65_534, 65_534);
    await expect(knock(folder.in("s"))).rejects.toMatchObject({ code: "TRANSPORT_UNREACHABLE" });
    await chown(folder.in("s"), 0, 0);
    expect(await knock(folder.in("s"))).toBe("{}");
  });
});

describe.skipIf(!asRoot)("who may knock", () => {
  it.each([
    ["0660", 65_534, true],
    ["0660", 0, false],
    ["0600", 65_534, false],
  ])("with mode %s and group %i, a user of group 65534: %s", async (mode, group, may) => {
    await using folder = await Folder.create();
    await openToAll(folder.path);
    await using _ = await listen(folder.in("s"), { mode, group });
    const answer = await asNobody(() => knock(folder.in("s")).catch((error: unknown) => error));
    if (may) expect(answer).toBe("{}");
    else expect(answer).toMatchObject({ code: "TRANSPORT_UNREACHABLE" });
  });
});

/** Leaves the socket of a daemon that died. */
async function dead(path: string): Promise<void> {
  const script = `require("node:net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
  await once(spawn(process.execPath, ["--eval", script], { stdio: "inherit" }), "exit");
}

/** Lets everybody enter a folder and those above it that only root can enter. */
async function openToAll(folder: string): Promise<void> {
  for (const here of [folder, fileURLToPath(new URL("..", `file://${folder}/`))]) {
    await chmod(here, ((await stat(here)).mode & 0o7777) | 0o011);
  }
}

/** Does something as a user without rights. Nothing else of this process may go on meanwhile. */
async function asNobody<Result>(act: () => Promise<Result>): Promise<Result> {
  process.setegid!(65_534);
  process.seteuid!(65_534);
  try {
    return await act();
  } finally {
    process.seteuid!(0);
    process.setegid!(0);
  }
}
