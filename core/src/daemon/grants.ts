import type { Logger } from "../contracts/plugin.ts";
import type { GrantHandler } from "../contracts/transport.ts";
import { errorReply, outcomeReply, readGrantRequest } from "../protocol/messages.ts";
import type { Transactions } from "./transactions.ts";

/** What the transport calls: checks a request, has it decided, answers in the words of the protocol. */
export function grantHandler(transactions: Transactions, log: Logger): GrantHandler {
  // Thousands wait at a time: a promise chained to another is lighter than an async function that waits for it.
  return (request) => {
    const knock = readGrantRequest(request);
    if (typeof knock === "string") {
      log.warn({ reason: knock }, "a request that makes no sense came over the transport");
      return Promise.resolve(errorReply(knock));
    }
    return transactions.grant(knock).then(outcomeReply);
  };
}
