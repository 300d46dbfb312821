import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execute } from "@wkfs/core/testing";

/** A folder that is gone with the test. */
export class Scratch implements AsyncDisposable {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async create(): Promise<Scratch> {
    return new Scratch(await mkdtemp(join(tmpdir(), "wkfs-test-")));
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** A certificate of its own authority for localhost and 127.0.0.1, made by openssl(1). */
  async certificate(): Promise<{ readonly cert: string; readonly key: string }> {
    const [cert, key] = [this.path("cert.pem"), this.path("key.pem")];
    const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
    const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
    const result = await execute(["openssl", "req", "-x509", ...curve, ...names, "-keyout", key, "-out", cert]);
    if (result.code !== 0) throw new Error(result.stderr);
    return { cert, key };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true });
  }
}
