import { parseArgs } from "node:util";

/** How much is measured. */
export interface Scale {
  readonly quick: boolean;
  readonly rounds: number;
  readonly warmUp: number;
}

export interface BenchOptions {
  readonly scale: Scale;
  readonly json: boolean;
  /** Beginnings of row ids; none: every row. */
  readonly only: readonly string[];
}

export const USAGE = `npm run bench -- [--quick] [--only ROW]… [--rounds N] [--json]

  --quick     fewer rounds and smaller numbers; ends within 60 s
  --only ROW  rows whose name begins so, such as gateway or leases/new
  --rounds N  rounds of each row (5; 1 with --quick)
  --json      the same as JSON
`;

/** Throws a TypeError for what it does not know. */
export function readOptions(argv: readonly string[]): BenchOptions | "help" {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      quick: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      only: { type: "string", multiple: true, default: [] },
      rounds: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return "help";
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 5));
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > 1000) throw new TypeError("--rounds takes 1 to 1000");
  return {
    scale: { quick: values.quick, rounds, warmUp: values.quick ? 0 : 1 },
    json: values.json,
    only: values.only,
  };
}
