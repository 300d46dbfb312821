/** What has ports. */
export type Protocol = "tcp" | "udp";

/** One port of the server. */
export interface Port {
  readonly protocol: Protocol;
  /** 1 to 65535. */
  readonly number: number;
}

/** The ports that the server keeps closed, in the order of its configuration. */
export interface ProtectedPorts {
  readonly tcp: readonly number[];
  readonly udp: readonly number[];
}

/** True for a whole number from 1 to 65535. */
export function isPortNumber(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= 65_535;
}

/** True when the port is among these. */
export function includesPort(ports: ProtectedPorts, port: Port): boolean {
  return ports[port.protocol].includes(port.number);
}

/** `tcp/22`: how a port is written in logs, mails and tables. */
export function formatPort(port: Port): string {
  return `${port.protocol}/${port.number}`;
}
