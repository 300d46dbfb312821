/** The client: `@wkfs/core/client`. Loads neither inversify nor restify, so that a knock starts fast. */
import { type ClientConfig, readKeys } from "../config/index.ts";
import type { Clock } from "../contracts/plugin.ts";
import { systemClock } from "../lifecycle/clock.ts";
import { createV1Codec } from "../protocol/v1.ts";
import { Client } from "./client.ts";
import { createPost } from "./http.ts";

export type { Client, ClientEvent, KnockRequest, KnockResult, ServerInfo } from "./client.ts";
export type { Role, RoleEvent, RoleEvents, Status } from "../lifecycle/role.ts";

/** What a client is made of. It has no container: there is nothing in it to be replaced but its clock. */
export interface ClientOptions {
  /** From `loadClientConfig` or `checkClientConfig`. */
  readonly config: ClientConfig;
  /** The host's own where none is given. */
  readonly clock?: Clock;
  /** Stops the client when it aborts, and ends what is under way. One that is aborted already stops the making. */
  readonly signal?: AbortSignal;
  /** Sent with each request beside our own, for a web server in front that asks for something. */
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * Assembles a client: reads keys, sends nothing. Throws `SECRET_INVALID`, `CONFIG_INVALID` for a certificate of `ca` that
 * cannot be read, and the reason of a signal that is aborted.
 */
export async function createClient({ config, clock = systemClock, signal, headers }: ClientOptions): Promise<Client> {
  signal?.throwIfAborted();
  const codec = createV1Codec(await readKeys(config.keys));
  const post = await createPost(config.url, config.ca, headers);
  return new Client({ url: config.url, codec, post, clock, ports: config.ports, maxTime: config.maxTime, signal });
}
