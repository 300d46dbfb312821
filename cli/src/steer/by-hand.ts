import { type KnockOutcome, type KnockRefusal, type Lease, formatAddress, formatPort } from "@wkfs/core";
import { EXIT } from "../exit-codes.ts";
import { type SocketFlags, ask } from "./control-socket.ts";
import { left, timeOf } from "./words.ts";

/** What to do about a refusal; for any other the log says more. */
const HINTS: Partial<Record<KnockRefusal, string>> = {
  no_ports: "`wkfs status` says what is protected; the configuration has it under protect.",
  too_many_knocks: "Wait a second; how many an address may ask for in one is limits.knocksPerSecond.",
  too_many_leases: "Wait until leases have ended, close some with `wkfs close`, or raise limits.leases.",
  too_many_leases_of_address: "Close some with `wkfs close`, or raise limits.leasesPerAddress.",
  firewall_full: "Give the firewall's set a larger `size`.",
};

interface TargetFlags extends SocketFlags {
  readonly tcp?: readonly number[] | undefined;
  readonly udp?: readonly number[] | undefined;
}

export async function openByHand(
  flags: TargetFlags & { readonly time: number },
  address: string,
): Promise<{ readonly outcome: KnockOutcome; readonly lines: readonly string[]; readonly exit: number }> {
  const { tcp = [], udp = [], time } = flags;
  const outcome = await ask<KnockOutcome>(flags, "open", { args: { address, tcp, udp, time } });
  if ("refusal" in outcome) {
    const lines = [`nothing was opened: ${outcome.refusal}`, `Hint: ${hintOf(outcome.refusal)}`];
    return { outcome, lines, exit: EXIT.refused };
  }
  const { because } = outcome;
  const why =
    because === undefined ? "which is not protected" : `which is not protected, or found no room (${because})`;
  const lines = [
    ...outcome.opened.map((lease) => `opened   ${describe(lease)}`),
    ...outcome.renewed.map((lease) => `renewed  ${describe(lease)}`),
    ...outcome.refused.map((port) => `refused  ${formatPort(port)}, ${why}`),
    ...(because === undefined ? [] : [`Hint: ${hintOf(because)}`]),
  ];
  return { outcome, lines, exit: outcome.refused.length > 0 ? EXIT.partly : EXIT.ok };
}

export async function closeByHand(
  flags: TargetFlags,
  address: string,
): Promise<{ readonly closed: readonly Lease[]; readonly lines: readonly string[] }> {
  const { tcp = [], udp = [] } = flags;
  const { closed } = await ask<{ readonly closed: readonly Lease[] }>(flags, "close", { args: { address, tcp, udp } });
  const lines = closed.map(
    ({ address: whose, port, client }) => `closed   ${formatPort(port)} for ${formatAddress(whose)} (${client})`,
  );
  return { closed, lines: lines.length > 0 ? lines : ["nothing was open"] };
}

function hintOf(refusal: KnockRefusal): string {
  return HINTS[refusal] ?? "Look into the log of `wkfs daemon`.";
}

function describe({ address, port, deadline }: Lease): string {
  return `${formatPort(port)} for ${formatAddress(address)} until ${timeOf(deadline)}, ${left(deadline - Date.now())} left`;
}
