/** What a gateway tells its program. `time` is in milliseconds since the epoch, `address` without a prefix length. */
export type GatewayEvent =
  /**
   * The daemon answered a knock of the key set `client`. `reply` is the daemon's own JSON text, at most 64 KiB. A repeat
   * gets the first answer without the daemon, and is not told.
   */
  | {
      readonly type: "answered";
      readonly time: number;
      readonly client: string;
      readonly address: string;
      readonly reply: string;
    }
  /** No daemon answered a knock: with `TRANSPORT_UNREACHABLE` nothing was opened, with any other error something may have been. */
  | {
      readonly type: "failed";
      readonly time: number;
      readonly client: string;
      readonly address: string;
      readonly error: unknown;
    }
  /**
   * Requests were refused, and why in words: at most one event a reason and 10 seconds, for anybody on the internet can
   * cause them. `count` are those since the last, this one among them; `address` is whose this one is, where that can be told.
   */
  | {
      readonly type: "refused";
      readonly time: number;
      readonly reason: string;
      readonly address: string | undefined;
      readonly count: number;
    };
