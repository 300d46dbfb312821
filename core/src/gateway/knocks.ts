import type { KeySet } from "../config/index.ts";
import type { Clock } from "../contracts/plugin.ts";
import type { Address } from "../model/address.ts";
import { formatPort, includesPort } from "../model/port.ts";
import { closeGrant, knowsNoClose } from "../protocol/close-messages.ts";
import type { Codec } from "../protocol/codec.ts";
import {
  type RequestCheck,
  type WirePort,
  errorReply,
  infoReply,
  isNothing,
  phpInteger,
  readRequest,
  readWirePort,
  wirePort,
} from "../protocol/messages.ts";
import { decodeFormField } from "../protocol/v1.ts";
import { dataField } from "./form.ts";
import type { RefusalLog } from "../lifecycle/refusal-log.ts";
import { replayKey } from "./replay-guard.ts";
import type { Ask, Reply, Upstream } from "./upstream.ts";

/** What goes back over HTTP: a sealed packet, or a status with a text for those who hold the keys. */
export type Answer =
  | { readonly status: 200; readonly packet: Uint8Array }
  | { readonly status: 400 | 403 | 405 | 503 | 504; readonly text: string };

/** A key set with the codec that its keys make. */
export interface ClientKeys {
  readonly set: KeySet;
  readonly codec: Codec;
}

export interface KnockParts {
  readonly keys: readonly ClientKeys[];
  /**
   * The first second, since the epoch, whose requests are taken. The memory of repeats is this gateway's, so what an
   * earlier one may have seen is refused.
   */
  readonly since: number;
  readonly upstream: Upstream;
  readonly clock: Clock;
  readonly refusals: RefusalLog;
}

interface OpenedPacket extends ClientKeys {
  readonly payload: Uint8Array;
}

type OpenRequest = Extract<RequestCheck, { kind: "openports" }>;
type CloseRequest = Extract<RequestCheck, { kind: "closeports" }>;

const encoder = new TextEncoder();
const FORBIDDEN: Answer = { status: 403, text: "" };
const UNKNOWN_API: Answer = { status: 405, text: "Unknown 'api' option." };

/**
 * The web half's part of a knock: from the body of a POST to an answer, with the checks of protocol v1 in their
 * order. It opens nothing itself and holds no privilege.
 */
export class Knocks {
  readonly #parts: KnockParts;

  constructor(parts: KnockParts) {
    this.#parts = parts;
  }

  /** `whose` gives undefined where there is no telling whose knock it is; it is asked only when somebody wants to know. */
  async answer(contentType: string | undefined, body: Buffer, whose: () => Address | undefined): Promise<Answer> {
    const { clock, refusals } = this.#parts;
    const refuse = (answer: Answer, reason: string): Answer => {
      refusals.note(reason, () => whose()?.text);
      return answer;
    };
    const field = dataField(contentType, body);
    const data = field instanceof Promise ? await field : field;
    if (data === undefined) return refuse({ status: 400, text: "" }, "no form field data");
    const opened = this.#open(decodeFormField(data));
    if (opened === undefined) return refuse(FORBIDDEN, "not sealed with our keys");
    const address = whose();
    const request = readRequest(opened.payload, Math.floor(clock.now() / 1000));
    switch (request.kind) {
      case "rejected":
        return refuse(FORBIDDEN, "malformed request, or a clock that is off by more than 15 s");
      case "wrong-version":
        return refuse(
          { status: 405, text: "The version of your client does not match the version of the server." },
          "wrong version",
        );
      case "unknown-api":
        return refuse(UNKNOWN_API, "unknown api");
      case "getinfo":
        if (address === undefined) return refuse(FORBIDDEN, "a proxy that does not say whose request it is");
        return seal(opened.codec, infoReply({ ...opened.set, ip: address.text }));
      case "openports":
        if (address === undefined || request.ip !== address.text)
          return refuse(FORBIDDEN, "for another address than it comes from");
        if (isNothing(request.ports) || isNothing(request.time)) return refuse(FORBIDDEN, "no ports or no time");
        if (request.ts < this.#parts.since) return refuse(FORBIDDEN, "older than this process");
        return (
          (await this.#openPorts(opened, request, address)) ??
          refuse({ status: 503, text: "" }, "too many requests at once")
        );
      case "closeports":
        return await this.#closePorts(opened, request, address, refuse);
    }
  }

  #open(packet: Uint8Array): OpenedPacket | undefined {
    for (const keys of this.#parts.keys) {
      const payload = keys.codec.open(packet);
      if (payload !== undefined) return { ...keys, payload };
    }
    return undefined;
  }

  /** Undefined when there is no room to remember the request. */
  async #openPorts(
    { set, codec, payload }: OpenedPacket,
    request: OpenRequest,
    address: Address,
  ): Promise<Answer | undefined> {
    const grant = restrict(request, set, address);
    if (grant === undefined) return seal(codec, errorReply("no_ports"));
    const reply = await this.#parts.upstream({ key: replayKey(set.name, payload), grant });
    return answerOf(reply, codec);
  }

  /**
   * The key set's ports and time do not matter here: what it has open, it may give back. A repeat gets the first answer, so a
   * request that was overheard closes nothing that was opened after it.
   */
  async #closePorts(
    { set, codec, payload }: OpenedPacket,
    request: CloseRequest,
    address: Address | undefined,
    refuse: (answer: Answer, reason: string) => Answer,
  ): Promise<Answer> {
    if (address === undefined || request.ip !== address.text)
      return refuse(FORBIDDEN, "for another address than it comes from");
    const grant = closeGrant(address.text, request.ports, set.name);
    if (grant === undefined) return refuse(FORBIDDEN, "ports that are no list");
    if (request.ts < this.#parts.since) return refuse(FORBIDDEN, "older than this process");
    const reply = await this.#parts.upstream({ key: replayKey(set.name, payload), grant });
    if ("text" in reply && knowsNoClose(reply.text)) return refuse(UNKNOWN_API, "a daemon that cannot close early");
    return answerOf(reply, codec) ?? refuse({ status: 503, text: "" }, "too many requests at once");
  }
}

/** Undefined when there was no room to remember the request. */
function answerOf(reply: Reply, codec: Codec): Answer | undefined {
  if ("text" in reply) return seal(codec, reply.text);
  switch (reply.failure) {
    // PHP's front end says 504 when it cannot connect, and sends an empty payload when the daemon breaks off.
    case "unreachable":
      return { status: 504, text: "" };
    case "broken":
      return seal(codec, "");
    case "busy":
      return undefined;
  }
}

/**
 * What the daemon is asked: the ports that this key set may have, and no more time. Undefined when
 * nothing is left of a request that is otherwise in order; what is not in order, the daemon answers.
 */
function restrict({ ports, time }: OpenRequest, set: KeySet, address: Address): Ask["grant"] | undefined {
  const request = { ip: address.text, ports, time, client: set.name };
  if (typeof ports !== "object" || ports === null) return request;
  const offered = new Map<string, WirePort>();
  for (const entry of Object.values(ports) as unknown[]) {
    const port = readWirePort(entry);
    if (port !== undefined && includesPort(set, port)) offered.set(formatPort(port), wirePort(port));
  }
  const timely = typeof time === "number" && phpInteger(time) >= 1;
  if (offered.size === 0 && timely) return undefined;
  return { ...request, ports: [...offered.values()], time: timely ? Math.min(time, set.maxTime) : time };
}

function seal(codec: Codec, payload: string): Answer {
  return { status: 200, packet: codec.seal(encoder.encode(payload)) };
}
