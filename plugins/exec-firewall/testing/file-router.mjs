// A router for tests, as an administrator could write one: its state is a file. `node file-router.mjs STATE [MODE]`.
// MODE `partial` leaves done what it had done when it fails in the middle; the others are faults.
import { appendFileSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";

const [state, mode = "whole"] = process.argv.slice(2);
const { op, open, close } = JSON.parse(readFileSync(0, "utf8"));
const id = ({ address, protocol, port }) => `${address} ${protocol}/${port}`;

if (mode === "record") appendFileSync(`${state}.requests`, `${JSON.stringify({ op, open, close })}\n`);
if (mode === "hang") setInterval(() => {}, 1000);
else if (mode === "garbage") console.log("<html>");
else if (mode === "odd")
  console.log('{"missing": [], "leases": [{"address": "10.0.0.1;", "protocol": "tcp", "port": 22}]}');
else if (mode === "foreign") console.log('{"leases": [{"address": "fd91::2", "protocol": "tcp", "port": 22}]}');
else if (mode === "full") process.exit(73);
else if (mode === "flood") {
  const line = "x".repeat(65_535);
  const pour = () => {
    while (process.stdout.write(`${line}\n`));
    process.stdout.once("drain", pour);
  };
  pour();
} else serve();

function serve() {
  const now = Date.now();
  if (op === "detach") return rmSync(state, { force: true });
  const missing = existsSync(state) ? [] : ["the router has forgotten us"];
  const leases = new Map(missing.length > 0 ? [] : JSON.parse(readFileSync(state, "utf8")));
  for (const [key, { deadline }] of leases) if (deadline <= now) leases.delete(key);
  if (op === "attach") return save(leases);
  if (op === "list") return console.log(JSON.stringify({ missing, leases: [...leases.values()] }));
  if (op === "check") return console.log(JSON.stringify({ missing, count: leases.size }));
  if (missing.length > 0) return refuse(missing[0]);
  for (const key of close) leases.delete(id(key));
  for (const { address, protocol, port, deadline } of open) {
    if (address === "10.66.66.66") {
      if (mode === "partial") save(leases);
      return refuse("nobody may open this one");
    }
    leases.set(id({ address, protocol, port }), { address, protocol, port, deadline });
  }
  save(leases);
}

function save(leases) {
  writeFileSync(`${state}.new`, JSON.stringify([...leases]));
  renameSync(`${state}.new`, state);
}

function refuse(why) {
  console.error(why);
  process.exitCode = 1;
}
