import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { type Server, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { create } from "tar";

const REPOSITORY = join(import.meta.dirname, "..", "..");

/** A package to be. */
export interface Package {
  readonly name: string;
  readonly version?: string;
  /** More of its package.json. */
  readonly description?: object;
  /** Texts by path. */
  readonly files?: Readonly<Record<string, string>>;
}

interface Published {
  readonly description: Readonly<Record<string, unknown>>;
  readonly tarball: () => Promise<Buffer>;
}

/**
 * A registry of npm on this host, so that tests ask nobody else. It has what is published to it and, when `mirror` is called,
 * the very packages that this repository has installed.
 */
export class NpmRegistry implements AsyncDisposable {
  /** What was asked for, decoded, such as `/wkfs-plugin-x`. Tarballs end in `.tgz`. */
  readonly requests: string[] = [];
  readonly #dir: string;
  readonly #server: Server;
  readonly #packages = new Map<string, Map<string, Published>>();

  private constructor(dir: string) {
    this.#dir = dir;
    this.#server = createServer(async ({ url = "/" }, response) => {
      const path = decodeURIComponent(url.split("?")[0]!);
      this.requests.push(path);
      const answer = await this.#answer(path).catch((error: Error) => error);
      if (answer instanceof Error) response.writeHead(500).end(answer.message);
      else if (answer === undefined) response.writeHead(404).end("{}");
      else response.writeHead(200).end(answer);
    });
  }

  static async start(): Promise<NpmRegistry> {
    const registry = new NpmRegistry(await mkdtemp(join(tmpdir(), "wkfs-registry-")));
    registry.#server.listen(0, "127.0.0.1");
    await once(registry.#server, "listening");
    return registry;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  /** Publishes a package, and says of it in its description what `lie` says. */
  async publish(made: Package, lie: object = {}): Promise<void> {
    const file = await tarballOf(made, this.#dir);
    await this.publishTarball(file, { ...descriptionOf(made), ...lie });
  }

  async publishTarball(
    file: string,
    description: { readonly name?: unknown; readonly version?: unknown },
  ): Promise<void> {
    const content = await readFile(file);
    const integrity = `sha512-${createHash("sha512").update(content).digest("base64")}`;
    this.#add({ description: { ...description, dist: { integrity } }, tarball: async () => content });
  }

  /** Everything that stands in the `node_modules` of this repository. */
  async mirror(): Promise<void> {
    const lock = JSON.parse(await readFile(join(REPOSITORY, "node_modules", ".package-lock.json"), "utf8")) as {
      readonly packages: Readonly<Record<string, { readonly link?: boolean; readonly inBundle?: boolean }>>;
    };
    for (const [path, { link, inBundle }] of Object.entries(lock.packages)) {
      if (!path.startsWith("node_modules/") || link || inBundle) continue;
      const root = join(REPOSITORY, path);
      const text = await readFile(join(root, "package.json"), "utf8").catch(() => undefined);
      if (text === undefined) continue;
      this.#add({ description: JSON.parse(text) as Record<string, unknown>, tarball: () => packedAgain(root) });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    await rm(this.#dir, { recursive: true });
  }

  #add(published: Published): void {
    const { name, version } = published.description as { readonly name: string; readonly version: string };
    const versions = this.#packages.get(name) ?? new Map<string, Published>();
    this.#packages.set(name, versions.set(version, published));
  }

  async #answer(path: string): Promise<string | Buffer | undefined> {
    const [, name = "", version] = /^\/((?:@[^/]+\/)?[^/]+?)(?:\/-\/(.+)\.tgz)?$/.exec(path) ?? [];
    const versions = this.#packages.get(name);
    if (versions === undefined) return undefined;
    if (version !== undefined) return await versions.get(version)?.tarball();
    const described = [...versions].map(([of, { description }]) => {
      const dist = { ...(description["dist"] as object), tarball: `${this.url}${name}/-/${of}.tgz` };
      return [of, { ...description, dist }];
    });
    // The last that was published.
    const latest = [...versions.keys()].at(-1);
    return JSON.stringify({ name, "dist-tags": { latest }, versions: Object.fromEntries(described) });
  }
}

/** Writes a tarball as `npm pack` does, into `dir`, and gives its path. */
export async function tarballOf(made: Package, dir: string): Promise<string> {
  const folder = await mkdtemp(join(dir, "package-"));
  await folderOf(made, join(folder, "package"));
  const file = join(folder, "package.tgz");
  await create({ file, cwd: folder, gzip: true, portable: true }, ["package"]);
  return file;
}

/** Writes a package's folder. */
export async function folderOf(made: Package, folder: string): Promise<void> {
  const files = { "package.json": JSON.stringify(descriptionOf(made)), ...made.files };
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
}

function descriptionOf({ name, version = "1.0.0", description }: Package): {
  readonly name: string;
  readonly version: string;
} {
  return { name, version, ...description };
}

async function packedAgain(root: string): Promise<Buffer> {
  const stream = create({ cwd: root, gzip: { level: 1 }, portable: true, prefix: "package", filter: unnested }, ["."]);
  return await stream.concat();
}

/** Without what npm nested into a package's own `node_modules`. */
function unnested(path: string): boolean {
  return !/^\.?\/?node_modules(\/|$)/.test(path);
}
