// Makes this checkout ready and then runs the command it is given: installs the packages of the lock
// file when they are not there, builds what changed, and uses the Node that the packages brought.
// Runs on any Node that npm runs on, so it is plain JavaScript and imports nothing but Node.
import { spawnSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { delimiter, join } from "node:path";

const root = join(import.meta.dirname ?? new URL(".", import.meta.url).pathname, "..");
const bin = join(root, "node_modules", ".bin");
const environment = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH ?? ""}` };

function step(what, file, ...args) {
  const started = Date.now();
  if (process.stderr.isTTY) process.stderr.write(`${what} …\n`);
  const result = spawnSync(file, args, { cwd: root, env: environment, encoding: "utf8", maxBuffer: 1 << 26 });
  if (result.status === 0) {
    if (Date.now() - started > 2000) process.stderr.write(`${what}: ${((Date.now() - started) / 1000).toFixed(1)} s\n`);
    return;
  }
  process.stderr.write(`${result.stdout ?? ""}${result.stderr ?? ""}`);
  process.stderr.write(
    `${what}: \`${file} ${args.join(" ")}\` failed${result.error ? ` (${result.error.message})` : ""}\n`,
  );
  process.exit(1);
}

const stamp = join(root, "node_modules", ".ready");
const locked = createHash("sha256")
  .update(readFileSync(join(root, "package-lock.json")))
  .digest("hex");
if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== locked) {
  step("installing packages", "npm", "ci", "--no-audit", "--no-fund");
  writeFileSync(stamp, locked);
}

const version = spawnSync("node", ["--version"], { env: environment, encoding: "utf8" }).stdout?.trim() ?? "none";
if (Number(/^v(\d+)/.exec(version)?.[1] ?? 0) < 24) {
  process.stderr.write(
    `wkfs needs Node 24 or newer, and found ${version}. On Linux x64 and arm64 it brings its own (optional npm ` +
      "packages node-linux-*); elsewhere, or with `omit=optional` in .npmrc, install Node 24.\n",
  );
  process.exit(1);
}
step("building", "node", join(root, "node_modules", "typescript", "bin", "tsc"), "-b", "tsconfig.build.json");
step("bundling", "node", join(root, "scripts", "bundle.mjs"));
step("listing the commands", "node", join(root, "scripts", "manifest.mjs"));
step("writing the man pages", "node", join(root, "scripts", "reference", "man.ts"));

const [file, ...args] = process.argv.slice(2);
if (file !== undefined) {
  const child = spawn(file, args, { stdio: "inherit", env: environment });
  // A terminal sends Ctrl-C to both of us: the child decides when it is done.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => signal !== "SIGINT" && child.kill(signal));
  }
  child.on("error", (error) => {
    process.stderr.write(`${file}: ${error.message}\n`);
    process.exit(127);
  });
  child.on("exit", (code, signal) => process.exit(code ?? 128 + (constants.signals[signal ?? "SIGTERM"] ?? 15)));
}
