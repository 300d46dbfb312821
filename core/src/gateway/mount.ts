import type { IncomingMessage, ServerResponse } from "node:http";
import { WkfsError } from "../model/errors.ts";
import { type Requests, cutOff } from "./requests.ts";

/**
 * A gateway as a request listener of `node:http` and `node:https`, and as the middleware of Express and its like. Without `next`
 * every request is answered; with it those for other paths are passed on.
 */
export type GatewayHandler = (
  request: IncomingMessage,
  response: ServerResponse,
  next?: (error?: unknown) => void,
) => void;

/** Milliseconds for a request to come in whole, and for those under way to be answered when the gateway stops. */
const REQUEST_LIMIT = 20_000;
const DRAIN = 5000;
/** Most requests at the same time; further ones get 503. */
const MOST_REQUESTS = 2048;

/**
 * A gateway within a web server of somebody else. That one may have no limits, so those of a web server of ours are kept here: the
 * body's size is bounded with it, its time and the number of requests by this.
 */
export class Mount {
  #requests: Requests | undefined;
  readonly #underWay = new Set<Promise<void>>();

  /** From now on requests are answered; before this, and after `close`, with 503. */
  open(requests: Requests): void {
    this.#requests = requests;
  }

  /** Takes no further request; resolves when those under way are answered, after 5 s at the latest. */
  async close(): Promise<void> {
    this.#requests = undefined;
    const impatient = Promise.withResolvers<void>();
    const timer = setTimeout(impatient.resolve, DRAIN);
    await Promise.race([Promise.allSettled(this.#underWay), impatient.promise]);
    clearTimeout(timer);
  }

  /** Bound, so that it can be handed on. */
  readonly handler: GatewayHandler = (request, response, next) => {
    const requests = this.#requests;
    if (requests === undefined || this.#underWay.size >= MOST_REQUESTS) return unavailable(response);
    const ours = targetsOf(request).some((target) => requests.areFor(target));
    if (!ours && next !== undefined) return next();
    if (!ours || request.method !== "POST") return requests.turnAway(response, ours);
    if (request.readableDidRead) return requests.fail(response, alreadyRead());
    const slow = setTimeout(() => cutOff(response, "408 Request Timeout"), REQUEST_LIMIT);
    const inTime = (): void => clearTimeout(slow);
    request.once("end", inTime);
    response.once("close", inTime);
    const answer = requests.answer(request, response).finally(() => this.#underWay.delete(answer));
    this.#underWay.add(answer);
  };
}

function unavailable(response: ServerResponse): void {
  response.statusCode = 503;
  response.end();
}

/** A framework takes the path that it mounts us below from `url`, and keeps the whole as `originalUrl`. */
function targetsOf(request: IncomingMessage): readonly string[] {
  const { url = "", originalUrl } = request as IncomingMessage & { readonly originalUrl?: unknown };
  return typeof originalUrl === "string" ? [url, originalUrl] : [url];
}

function alreadyRead(): WkfsError {
  return new WkfsError("STATE_INVALID", "the body of a knock was read before it came to the gateway", {
    hint: "Mount gateway.handler before whatever parses bodies.",
  });
}
