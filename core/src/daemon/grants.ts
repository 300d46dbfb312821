import type { Logger } from "../contracts/plugin.ts";
import type { GrantHandler, GrantRequest } from "../contracts/transport.ts";
import { messageOf } from "../model/errors.ts";
import { type CloseRequest, closedReply, readCloseRequest } from "../protocol/close-messages.ts";
import { type RequestFault, errorReply, outcomeReply, readGrantRequest } from "../protocol/messages.ts";
import type { Closings } from "./closings.ts";
import type { Transactions } from "./transactions.ts";

/** What the transport calls: checks a request, has it decided, answers in the words of the protocol. */
export function grantHandler(transactions: Transactions, closings: Closings, log: Logger): GrantHandler {
  const senseless = (reason: RequestFault): Promise<string> => {
    log.warn({ reason }, "a request that makes no sense came over the transport");
    return Promise.resolve(errorReply(reason));
  };
  const close = async (request: CloseRequest): Promise<string> => {
    try {
      const closed = await closings.close(request);
      return typeof closed === "string" ? errorReply(closed) : closedReply(closed.map(({ port }) => port));
    } catch (error) {
      log.error({ error: messageOf(error) }, "a client could not close its ports");
      return errorReply("close_failed");
    }
  };
  // Thousands wait at a time: a promise chained to another is lighter than an async function that waits for it.
  return (request) => {
    if (isToClose(request)) {
      const wanted = readCloseRequest(request);
      return typeof wanted === "string" ? senseless(wanted) : close(wanted);
    }
    const knock = readGrantRequest(request);
    return typeof knock === "string" ? senseless(knock) : transactions.grant(knock).then(outcomeReply);
  };
}

/** Whatever `close` is: a request that has it shall open nothing. */
function isToClose(request: GrantRequest): boolean {
  return request.close !== undefined;
}
