import { type KnockOutcome, type Lease, formatAddress, formatPort } from "@wkfs/core";
import { EXIT } from "../exit-codes.ts";
import { type SocketFlags, ask } from "./control-socket.ts";
import { left, timeOf } from "./words.ts";

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
  if ("refusal" in outcome) return { outcome, lines: [`nothing was opened: ${outcome.refusal}`], exit: EXIT.refused };
  const lines = [
    ...outcome.opened.map((lease) => `opened   ${describe(lease)}`),
    ...outcome.renewed.map((lease) => `renewed  ${describe(lease)}`),
    ...outcome.refused.map((port) => `refused  ${formatPort(port)}, which is not protected`),
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

function describe({ address, port, deadline }: Lease): string {
  return `${formatPort(port)} for ${formatAddress(address)} until ${timeOf(deadline)}, ${left(deadline - Date.now())} left`;
}
