import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { API_VERSION, type PluginKind } from "@wkfs/core";

export const KINDS = ["firewall", "notifier", "store", "transport"] as const satisfies readonly PluginKind[];

/** What a new package is to be. */
export interface PluginPackage {
  /** What `use:` says. */
  readonly name: string;
  readonly kind: PluginKind;
  /** The folder of the templates. */
  readonly templates: string;
  /** Versions of wkfs, and of zod, for the package's own dependencies. */
  readonly wkfs: string;
  readonly zod: string;
}

const WHAT: Readonly<Record<PluginKind, string>> = {
  firewall: "keeps leases as lines of a file that another program reads",
  notifier: "posts events as JSON to a URL",
  store: "keeps everything in one file of JSON",
  transport: "carries requests over a Unix socket",
};
const CONFIG: Readonly<Record<PluginKind, (name: string) => string>> = {
  firewall: (name) => `firewall:\n  - { use: ${name}, path: /run/wkfs/leases }`,
  notifier: (name) => `notify:\n  - { use: ${name}, url: "https://hooks.example.org/wkfs" }`,
  store: (name) => `store: { use: ${name}, path: /var/lib/wkfs/wkfs.json }`,
  transport: (name) => `transport: { use: ${name}, path: /run/wkfs/daemon.sock, secret: transport.secret }`,
};

export function packageNameOf(name: string): string {
  return `wkfs-plugin-${name}`;
}

/** The files of a package that works as it is: their texts by path. */
export async function filesOf(plugin: PluginPackage): Promise<Readonly<Record<string, string>>> {
  const { name, kind, templates } = plugin;
  const template = (file: string) => readFile(join(templates, kind, file), "utf8");
  return {
    "package.json": `${JSON.stringify(descriptionOf(plugin), undefined, 2)}\n`,
    "tsconfig.json": `${JSON.stringify(TSCONFIG, undefined, 2)}\n`,
    "src/index.ts": (await template("index.ts")).replace('name: "example"', `name: "${name}"`),
    "src/index.test.ts": await template("index.test.ts"),
    "README.md": readmeOf(plugin),
    ".gitignore": "node_modules\ndist\n*.tgz\n",
    ".github/workflows/ci.yml": CI,
  };
}

function descriptionOf({ name, kind, wkfs, zod }: PluginPackage): object {
  return {
    name: packageNameOf(name),
    version: "0.1.0",
    description: `wkfs ${kind}: ${WHAT[kind]}`,
    keywords: ["wkfs-plugin"],
    type: "module",
    files: ["dist"],
    exports: "./dist/index.js",
    scripts: { build: "tsc -p .", test: "node --test src/*.test.ts", prepack: "npm run build" },
    engines: { node: ">=24" },
    wkfs: { apiVersion: API_VERSION, kind },
    dependencies: { zod },
    devDependencies: { "@types/node": "^24.0.0", "@wkfs/core": `^${wkfs}`, typescript: ">=5.9" },
    peerDependencies: { "@wkfs/core": `^${wkfs}` },
    peerDependenciesMeta: { "@wkfs/core": { optional: true } },
  };
}

const TSCONFIG = {
  compilerOptions: {
    target: "es2024",
    module: "nodenext",
    strict: true,
    erasableSyntaxOnly: true,
    verbatimModuleSyntax: true,
    allowImportingTsExtensions: true,
    rewriteRelativeImportExtensions: true,
    skipLibCheck: true,
    lib: ["es2024", "esnext.disposable"],
    types: ["node"],
    rootDir: "src",
    outDir: "dist",
  },
  include: ["src"],
  exclude: ["src/**/*.test.ts"],
};

function readmeOf({ name, kind }: PluginPackage): string {
  return `# ${packageNameOf(name)}

A ${kind} for [wkfs](https://www.npmjs.com/package/wkfs): it ${WHAT[kind]}.

\`\`\`sh
npm install
npm test
npm pack
wkfs plugins install ./${packageNameOf(name)}-0.1.0.tgz
\`\`\`

In the configuration of wkfs:

\`\`\`yaml
${CONFIG[kind](name)}
\`\`\`
`;
}

const CI = `on: [push, pull_request]
jobs:
  test:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-node@v4
        with: { node-version: 24 }
      - run: npm install
      - run: npm run build
      - run: npm test
`;
