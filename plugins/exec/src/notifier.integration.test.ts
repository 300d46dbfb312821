import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { watch } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Notification, parseAddress } from "@wkfs/core";
import { notifierSuite, testContext } from "@wkfs/core/testing";
import { describe, expect, it } from "vitest";
import { configSchema } from "./config.ts";
import plugin from "./index.ts";

/** A folder with programs that the tests write. */
class Programs implements AsyncDisposable {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async make(): Promise<Programs> {
    return new Programs(await mkdtemp(join(tmpdir(), "wkfs-exec-")));
  }

  async write(name: string, ...lines: string[]): Promise<string> {
    const path = join(this.folder, name);
    await writeFile(path, `#!/bin/sh\n${lines.join("\n")}\n`);
    await chmod(path, 0o755);
    return path;
  }

  /** Resolves when a program has made this file. */
  async made(name: string): Promise<void> {
    const watcher = watch(this.folder);
    const there = () =>
      readFile(join(this.folder, name)).then(
        () => true,
        () => false,
      );
    while (!(await there())) await new Promise((resolve) => watcher.once("change", resolve));
    watcher.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}

const make = async (config: object) => await plugin.create(configSchema.parse(config), testContext());
const never = () => AbortSignal.timeout(20_000);
const notification: Notification = {
  id: "n1",
  host: "gw1",
  events: [
    {
      type: "opened",
      time: 0,
      leases: [
        {
          address: parseAddress("192.0.2.7"),
          port: { protocol: "tcp", number: 22 },
          client: "$(touch /tmp/x)",
          openedAt: 0,
          deadline: 60_000,
        },
      ],
    },
  ],
};

notifierSuite("exec", { describe, it }, async () => {
  const programs = await Programs.make();
  const { folder } = programs;
  let received = 0;
  const count = async () => {
    const taken = await readFile(join(folder, "taken"), "utf8").catch(() => "");
    received = Math.max(received, taken.split("\n").length - 1);
  };
  return {
    async make() {
      const notifier = await make({
        command: [await programs.write("take", `cat >${folder}/last && echo x >>${folder}/taken`)],
      });
      return {
        notify: (...args) => notifier.notify(...args).finally(count),
        close: () => notifier.close(),
      };
    },
    received: () => received,
    messages: async () => [await readFile(join(folder, "last"), "utf8")],
    unreachable: async () => make({ command: [await programs.write("down", "exit 75")] }),
    async silent(reached) {
      const path = await programs.write("silent", `echo x >${folder}/reached`, "sleep 300");
      void programs.made("reached").then(reached);
      return await make({ command: [path] });
    },
    rejecting: async () => make({ command: [await programs.write("reject", "exit 65")] }),
    [Symbol.asyncDispose]: () => programs[Symbol.asyncDispose](),
  };
});

describe("the program of exec", () => {
  it("gets its arguments as they stand, the notification as JSON, and no environment of the daemon's", async () => {
    await using programs = await Programs.make();
    const path = await programs.write(
      "tell",
      `printf '%s\\n' "$@" >${programs.folder}/arguments`,
      `cat >${programs.folder}/input`,
      `env >${programs.folder}/environment`,
    );
    process.env["WKFS_TEST_SECRET"] = "hidden";
    try {
      await (await make({ command: [path, "a b", "$(id)", ""] })).notify(notification, never());
    } finally {
      delete process.env["WKFS_TEST_SECRET"];
    }
    const read = (name: string) => readFile(join(programs.folder, name), "utf8");
    expect(await read("arguments")).toBe("a b\n$(id)\n\n");
    expect(JSON.parse(await read("input"))).toEqual(notification);
    expect(await read("environment")).not.toContain("hidden");
  });

  it("gets lines of text where it asks for them", async () => {
    await using programs = await Programs.make();
    const path = await programs.write("tell", `cat >${programs.folder}/input`);
    await (await make({ command: [path], input: "text" })).notify(notification, never());
    expect(await readFile(join(programs.folder, "input"), "utf8")).toBe(
      "1970-01-01T00:00:00Z opened: tcp/22 for $(touch /tmp/x) at 192.0.2.7 until 1970-01-01T00:01:00Z\n",
    );
  });

  it("need not read what it is given", async () => {
    const many = { ...notification, events: Array.from({ length: 10_000 }, () => notification.events[0]!) };
    await (await make({ command: ["/bin/true"] })).notify(many, never());
  });

  it("that fails says why in the error", async () => {
    await using programs = await Programs.make();
    const path = await programs.write("fail", "echo no paper >&2", "exit 3");
    await expect((await make({ command: [path] })).notify(notification, never())).rejects.toMatchObject({
      code: "NOTIFY_FAILED",
      message: `${path} ended with status 3: no paper`,
    });
  });

  it("that takes too long is killed with all that it has started", async () => {
    await using programs = await Programs.make();
    const path = await programs.write("slow", `sh -c 'echo $$ >${programs.folder}/pid; exec sleep 300'`, "true");
    const notifier = await make({ command: [path], timeout: 1 });
    await expect(notifier.notify(notification, never())).rejects.toMatchObject({
      code: "NOTIFY_FAILED",
      message: `${path}: no end after 1 s`,
    });
    const pid = Number(await readFile(join(programs.folder, "pid"), "utf8"));
    // The signal is on its way when the call ends.
    const state = () => readFile(`/proc/${pid}/stat`, "utf8").catch(() => "gone");
    while (!/^gone$|\) [ZX] /.test(await state())) await new Promise(setImmediate);
  });

  it("must be there at the start, by its full path", async () => {
    await expect(make({ command: ["/nonexistent/program"] })).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    expect(configSchema.safeParse({ command: ["logger"] }).success).toBe(false);
    expect(configSchema.safeParse({ command: [] }).success).toBe(false);
  });
});
