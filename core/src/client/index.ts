/** The client: `@wkfs/core/client`. Loads neither inversify nor restify, so that a knock starts fast. */
import { type ClientConfig, readKeys } from "../config/index.ts";
import { systemClock } from "../lifecycle/clock.ts";
import { createV1Codec } from "../protocol/v1.ts";
import type { Clock } from "../contracts/plugin.ts";
import { Client } from "./client.ts";
import { createPost } from "./http.ts";

export type { Client, KeepOpenReport, OpenRequest, OpenResult, ServerInfo } from "./client.ts";

export interface ClientOptions {
  /** From `loadClientConfig`. */
  readonly config: ClientConfig;
  readonly clock?: Clock;
}

/** Assembles a client: reads keys, sends nothing. Throws `SECRET_INVALID`. */
export async function createClient({ config, clock = systemClock }: ClientOptions): Promise<Client> {
  const codec = createV1Codec(await readKeys(config.keys));
  const post = await createPost(config.url, config.ca);
  return new Client({ url: config.url, codec, post, clock, ports: config.ports, maxTime: config.maxTime });
}
