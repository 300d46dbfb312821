// Asks a daemon for leases over its transport, as a gateway does, in a process of its own.
import type { GrantRequest, Plugin, Transport } from "@wkfs/core";
import { testContext } from "@wkfs/core/testing";
import { answers } from "../answers.ts";
import { clientAddress } from "../stage.ts";

export type DaemonLoadRequest =
  /** The section `transport` of the configuration; to be sent first. */
  | { readonly open: Readonly<Record<string, unknown>> & { readonly use: string } }
  /** One request for each of `count` clients from the `first` on, `inFlight` at a time. Seconds. */
  | {
      readonly first: number;
      readonly count: number;
      readonly inFlight: number;
      readonly time: number;
      readonly port: number;
    }
  /** One request after the other, for this client, until `until` (ms since the epoch). */
  | { readonly again: number; readonly until: number; readonly time: number; readonly port: number };

export interface DaemonLoadReply {
  /** Milliseconds for all. */
  readonly took: number;
  readonly requests: number;
  /** The longest that one of them waited, in milliseconds. */
  readonly longest: number;
}

const { signal } = new AbortController();
let transport: Transport | undefined;

async function ask(index: number, time: number, port: number): Promise<number> {
  const request: GrantRequest = {
    ip: clientAddress(index),
    ports: [{ proto: "UDP", num: port }],
    time,
    client: "default",
  };
  const started = performance.now();
  const reply = await transport!.call(request, signal);
  if (!reply.startsWith('{"success":true')) throw new Error(`the daemon answered ${reply}`);
  return performance.now() - started;
}

async function connect({ use, ...config }: Readonly<Record<string, unknown>> & { use: string }): Promise<void> {
  const { default: plugin } = (await import(`@wkfs/${use}`)) as { default: Plugin<"transport", unknown> };
  const checked = await plugin.configSchema["~standard"].validate(config);
  if (checked.issues !== undefined) throw new Error(checked.issues.map(({ message }) => message).join("; "));
  transport = await plugin.create(checked.value, testContext());
}

answers<DaemonLoadRequest>(async (request): Promise<DaemonLoadReply | undefined> => {
  if ("open" in request) return void (await connect(request.open));
  const { time, port } = request;
  let requests = 0;
  let longest = 0;
  const started = performance.now();
  if ("again" in request) {
    while (Date.now() < request.until) {
      longest = Math.max(longest, await ask(request.again, time, port));
      requests += 1;
    }
  } else {
    const { first, count, inFlight } = request;
    const one = async () => {
      while (requests < count) {
        const index = first + requests;
        requests += 1;
        longest = Math.max(longest, await ask(index, time, port));
      }
    };
    await Promise.all(Array.from({ length: Math.min(inFlight, count) }, one));
  }
  return { took: performance.now() - started, requests, longest };
});
