import { FACILITIES, type SyslogConfig } from "./config.ts";
import type { Entry } from "./entries.ts";

/**
 * The name of our structured data. Names without a number are IANA's; 32473 is the one that RFC 5612 keeps for examples,
 * which nobody else's data can have.
 */
const DATA = "wkfs@32473";
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** `<29>`: facility and severity, which begin a message of either form. */
export function priority(facility: SyslogConfig["facility"], { severity }: Entry): string {
  return `<${FACILITIES[facility] * 8 + severity}>`;
}

/** One message for another host. */
export function messageOf(entry: Entry, host: string, { facility, format, tag }: SyslogConfig): string {
  const begin = priority(facility, entry);
  return format === "rfc5424" ? `${begin}${rfc5424(entry, host, tag)}` : `${begin}${rfc3164(entry, host, tag)}`;
}

/** `1 2026-01-01T00:00:00.000Z gw1 wkfs 812 opened [wkfs@32473 client="phone" …] text` */
function rfc5424({ type, time, text, fields }: Entry, host: string, tag: string): string {
  const date = new Date(time);
  const iso = Number.isNaN(date.getTime()) ? "-" : date.toISOString();
  // A year of more than four digits is none there.
  const stamp = /^\d{4}-/.test(iso) ? iso : "-";
  const data = fields.map(([name, value]) => ` ${name}="${value.replaceAll(/["\\\]]/g, "\\$&")}"`).join("");
  return `1 ${stamp} ${word(host, 255)} ${tag} ${process.pid} ${type} [${DATA}${data}] ${text}`;
}

/** `Jan  1 00:00:00 gw1 wkfs[812]: text`, in local time, as its receivers expect. */
function rfc3164({ time, text }: Entry, host: string, tag: string): string {
  const given = new Date(time);
  const date = Number.isNaN(given.getTime()) ? new Date(0) : given;
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => String(part).padStart(2, "0"));
  const day = `${MONTHS[date.getMonth()]} ${String(date.getDate()).padStart(2)}`;
  return `${day} ${clock.join(":")} ${word(host, 255)} ${tag}[${process.pid}]: ${text}`;
}

/** What may stand in a header: printable ASCII without blanks. */
function word(text: string, longest: number): string {
  return text.slice(0, longest).replaceAll(/[^\x21-\x7e]/g, "_") || "-";
}
