import { WkfsError } from "@wkfs/core";

/**
 * The seam to the host's `nft`. One implementation runs it; the tests have one that keeps tables in memory. Every
 * method rejects with `FIREWALL_FAILED` when the kernel refuses, with `FIREWALL_FULL` when a set is full, and with
 * `HOST_UNSUPPORTED` when the program is missing.
 */
export interface Nftables {
  /** Runs commands of nft as one transaction of the kernel's: all of them or none. Rejects with `Unanswered` when nobody knows which. */
  write(commands: string): Promise<void>;
  /** The table as nft prints it, with handles, without elements; undefined when there is none. Reads no other table. */
  describe(table: TableName): Promise<string | undefined>;
  /** Every element of a set; undefined when there is no such set. */
  readSet(table: TableName, set: string): Promise<SetReading | undefined>;
  /** For each of these elements whether its set holds it. Costs the same whatever the size of the set, and changes nothing. */
  holds(table: TableName, elements: readonly ElementName[]): Promise<boolean[]>;
  /** Ends processes that are kept. Idempotent. */
  close(): Promise<void>;
}

export interface TableName {
  readonly family: "inet" | "ip" | "ip6";
  readonly name: string;
}

/** An element as `elementOf` writes it. */
export interface ElementName {
  readonly set: string;
  readonly element: string;
}

export interface SetReading {
  /** What `nft --json --numeric-protocol` printed. */
  readonly json: string;
  /** How long ago the kernel was asked, in milliseconds: reading a large set takes its time. */
  readonly age: number;
}

/** The writer ended before it said whether the kernel took the change. */
export class Unanswered extends WkfsError {}
