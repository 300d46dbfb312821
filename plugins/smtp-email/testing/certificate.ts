import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const openssl = (...args: string[]) => promisify(execFile)("openssl", args, { timeout: 30_000 });
const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/** A server's key and certificate, and the certificate of the authority that signed it; PEM. */
export interface Issued {
  readonly key: string;
  readonly cert: string;
  readonly ca: string;
}

/** Lets openssl(1) make an authority of its own, and by it a certificate for `localhost`, 127.0.0.1 and ::1. */
export async function issue(): Promise<Issued> {
  const folder = await mkdtemp(join(tmpdir(), "wkfs-ca-"));
  const file = (name: string): string => join(folder, name);
  try {
    const authority = ["-keyout", file("ca.key"), "-out", file("ca.pem"), "-days", "2"];
    await openssl("req", "-x509", ...NEW_KEY, "-subj", "/CN=wkfs test authority", ...authority);
    await openssl("req", ...NEW_KEY, "-subj", "/CN=localhost", "-keyout", file("key.pem"), "-out", file("request.pem"));
    await writeFile(file("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\nbasicConstraints=CA:FALSE\n");
    const signer = ["-CA", file("ca.pem"), "-CAkey", file("ca.key"), "-CAcreateserial", "-extfile", file("names")];
    await openssl("x509", "-req", "-in", file("request.pem"), ...signer, "-days", "2", "-out", file("cert.pem"));
    const read = (name: string): Promise<string> => readFile(file(name), "utf8");
    return { key: await read("key.pem"), cert: await read("cert.pem"), ca: await read("ca.pem") };
  } finally {
    await rm(folder, { recursive: true });
  }
}
