import { type GatewayConfig, type KeySet, readKeys } from "../config/index.ts";
import type { Clock, Logger } from "../contracts/plugin.ts";
import { RefusalLog } from "../lifecycle/refusal-log.ts";
import { createV1Codec } from "../protocol/v1.ts";
import { ClientAddresses } from "./client-address.ts";
import type { GatewayEvent } from "./event.ts";
import { type ClientKeys, Knocks } from "./knocks.ts";
import { Requests } from "./requests.ts";
import type { Upstream } from "./upstream.ts";

export interface FrontParts {
  readonly config: GatewayConfig;
  readonly keySets: readonly KeySet[];
  /** The first second whose requests may be taken, since the epoch. */
  readonly since: number;
  readonly upstream: Upstream;
  readonly clock: Clock;
  readonly log: Logger;
  readonly tell: (event: GatewayEvent) => void;
}

/** All of a gateway that is between a web server and the daemon; each process of it has one. */
export async function createFront(parts: FrontParts): Promise<Requests> {
  const { config, keySets, since, upstream, clock, log, tell } = parts;
  const keys: ClientKeys[] = [];
  for (const set of keySets) keys.push({ set, codec: createV1Codec(await readKeys(set.keys)) });
  const knocks = new Knocks({ keys, since, upstream, clock, refusals: new RefusalLog(log, clock, tell) });
  return new Requests(config.path, knocks, new ClientAddresses(config.trustedProxies), log);
}
