import type { Server } from "restify";
import { type GatewayConfig, type KeySet, readKeys } from "../config/index.ts";
import type { Clock, Logger } from "../contracts/plugin.ts";
import { RefusalLog } from "../lifecycle/refusal-log.ts";
import { createV1Codec } from "../protocol/v1.ts";
import { ClientAddresses } from "./client-address.ts";
import { createHttpServer } from "./http.ts";
import { type ClientKeys, Knocks } from "./knocks.ts";
import type { Upstream } from "./upstream.ts";

export interface FrontParts {
  readonly config: GatewayConfig;
  readonly keySets: readonly KeySet[];
  /** The first second whose requests may be taken, since the epoch. */
  readonly since: number;
  readonly upstream: Upstream;
  readonly clock: Clock;
  readonly log: Logger;
}

/** All of a gateway that is between HTTP and the daemon; each process of it has one. Does not listen yet. */
export async function createFront(parts: FrontParts): Promise<Server> {
  const { config, keySets, since, upstream, clock, log } = parts;
  const keys: ClientKeys[] = [];
  for (const set of keySets) keys.push({ set, codec: createV1Codec(await readKeys(set.keys)) });
  const knocks = new Knocks({ keys, since, upstream, clock, refusals: new RefusalLog(log, clock) });
  return await createHttpServer(config, knocks, new ClientAddresses(config.trustedProxies), log);
}
