import type { Logger } from "../contracts/plugin.ts";
import type { GrantHandler } from "../contracts/transport.ts";
import { errorReply, outcomeReply, readGrantRequest } from "../protocol/messages.ts";
import type { Transactions } from "./transactions.ts";

/** What the transport calls: checks a request, has it decided, answers in the words of the protocol. */
export function grantHandler(transactions: Transactions, log: Logger): GrantHandler {
  return async (request) => {
    const knock = readGrantRequest(request);
    if (typeof knock === "string") {
      log.warn({ reason: knock }, "a request that makes no sense came over the transport");
      return errorReply(knock);
    }
    return outcomeReply(await transactions.grant(knock));
  };
}
