/**
 * The seam to the host's programs. One implementation runs them; the tests have one that keeps tables and sets in
 * memory. Every method rejects with `FIREWALL_FAILED` when the kernel refuses, with `FIREWALL_FULL` when a set is
 * full, and with `HOST_UNSUPPORTED` when a program is missing.
 */
export interface Netfilter {
  /** The filter table as iptables-save prints it. */
  save(): Promise<string>;
  /** One iptables-restore transaction: all of it or nothing. */
  restore(text: string): Promise<void>;
  /** Whether this host has sets at all. Changes nothing. */
  hasSets(): Promise<boolean>;
  /** Makes a set of `hash:ip,port` with timeouts, and counters if it shall. One that is there already is left as it is. */
  createSet(name: string, size: number, counters: boolean): Promise<void>;
  /** The set's own description; undefined when there is no such set. */
  describeSet(name: string): Promise<SetDescription | undefined>;
  /** The elements as `ipset save` prints them: `10.0.0.2,tcp:22 timeout 60`, and `packets 3 bytes 90` where it counts. */
  readSet(name: string): Promise<string[]>;
  /** Runs ipset commands in order and waits for all of them; rejects when one was refused, with any of the others done. */
  writeSet(lines: readonly string[]): Promise<void>;
  /** Removes a set; one that is not there is no error. */
  destroySet(name: string): Promise<void>;
  /** Ends processes that are kept. Idempotent. */
  close(): Promise<void>;
}

interface SetDescription {
  /** Whether it is of the type, family and kind that we write. */
  readonly fits: boolean;
  /** Elements, ended ones that are not swept yet among them. */
  readonly count: number;
}
