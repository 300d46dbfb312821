import { accessSync, constants } from "node:fs";
import { release } from "node:os";
import { delimiter, join } from "node:path";
import { NetworkNamespace, type NetworkNamespaceOptions, execute } from "@wkfs/core/testing";
import { FAMILIES, type Family } from "./family.ts";

/** What the demonstration can be given on this host: the real thing, or why not and what to do about it. */
export type Means =
  | {
      readonly kind: "kernel";
      /** How the first host is made; the second one goes into the same user namespace. */
      readonly user: NetworkNamespaceOptions["user"];
      readonly families: readonly Family[];
      readonly versions: string;
    }
  | { readonly kind: "none"; readonly lack: string; readonly remedy: string };

/** Which Debian package brings which of the programs that are needed. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  iptables: ["iptables", "ip6tables", "iptables-save", "iptables-restore", "ip6tables-save", "ip6tables-restore"],
  ipset: ["ipset"],
  iproute2: ["ip"],
  "util-linux": ["unshare", "nsenter", "setpriv"],
  coreutils: ["stdbuf"],
};
const SYSTEM_FOLDERS = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/** The PATH, with the folders of system programs where a distribution keeps them from ordinary users. */
export function pathWithSystemPrograms(path: string): string {
  const folders = path.split(delimiter);
  const ordinary = process.getuid?.() !== 0 && (folders.includes("/usr/bin") || folders.includes("/bin"));
  return ordinary ? [...new Set([...folders, ...SYSTEM_FOLDERS])].join(delimiter) : path;
}

export function isInstalled(program: string): boolean {
  return (process.env["PATH"] ?? "").split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return folder !== "";
    } catch {
      return false;
    }
  });
}

/** Looks for programs, then tries in a namespace of its own what the demonstration needs of the kernel. */
export async function lookForMeans(): Promise<Means> {
  if (process.platform !== "linux") return none(`${process.platform} has no network namespaces`, "run it on Linux");
  const missing = Object.entries(PACKAGES).flatMap(([name, programs]) => {
    const program = programs.find((candidate) => !isInstalled(candidate));
    return program === undefined ? [] : [{ name, program }];
  });
  if (missing.length > 0) {
    const programs = missing.map(({ program }) => program).join(", ");
    const packages = missing.map(({ name }) => name).join(" ");
    return none(`${programs} ${missing.length === 1 ? "is" : "are"} missing`, `apt-get install ${packages}`);
  }
  const made = await firstHost();
  if (made === undefined) {
    return process.getuid?.() === 0
      ? none("this root may not make network namespaces", "run it outside of the container, or give it CAP_SYS_ADMIN")
      : none(
          "this user may not make network namespaces",
          "run it as root, or allow user namespaces (sysctl user.max_user_namespaces, " +
            "kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns)",
        );
  }
  await using host = made.host;
  const refused = await firstRefusal(host);
  if (refused !== undefined) {
    return none(`the kernel refuses \`${refused}\``, "modprobe ip_set_hash_ipport xt_set xt_conntrack xt_multiport");
  }
  return { kind: "kernel", user: made.user, families: await familiesOf(host), versions: await versions() };
}

function none(lack: string, remedy: string): Means {
  return { kind: "none", lack, remedy };
}

async function firstHost() {
  for (const user of process.getuid?.() === 0 ? ([undefined, "own"] as const) : (["own"] as const)) {
    const host = await NetworkNamespace.create(user === undefined ? {} : { user }).catch(() => undefined);
    if (host !== undefined) return { host, user };
  }
  return undefined;
}

async function firstRefusal(host: NetworkNamespace): Promise<string | undefined> {
  const rule =
    "-A INPUT -p tcp -m conntrack --ctstate ESTABLISHED -m multiport --dports 1 -m set --match-set probe src,dst";
  for (const command of ["ipset create probe hash:ip,port timeout 1", `iptables ${rule} -j ACCEPT`]) {
    const { code, stderr } = await host.exec(command.split(" "));
    if (code !== 0) return `${command}: ${stderr.trim().split("\n")[0]}`;
  }
  return undefined;
}

/** IPv6 may be switched off. */
async function familiesOf(host: NetworkNamespace): Promise<readonly Family[]> {
  for (const argv of [
    ["ip", "-6", "address", "add", "fd91::1/64", "dev", "lo"],
    ["ip6tables", "-S", "INPUT"],
  ]) {
    if ((await host.exec(argv)).code !== 0) return FAMILIES.filter(({ name }) => name === "IPv4");
  }
  return FAMILIES;
}

async function versions(): Promise<string> {
  const said = await Promise.all(["iptables", "ipset"].map((program) => execute([program, "--version"])));
  const lines = said.map(({ stdout }) => stdout.trim().split(",")[0]!);
  return [...lines, `Linux ${release()}`, `Node ${process.version}`].join(", ");
}
