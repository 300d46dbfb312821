import type { Store } from "../contracts/store.ts";
import type { Transport } from "../contracts/transport.ts";
import { withTimeLimit } from "./time-limit.ts";

/** Milliseconds that a store or a transport may take to open, to listen, to be read or to close. */
const STEP_LIMIT = 30_000;
/** Milliseconds that one write of the store may take. */
const WRITE_LIMIT = 10_000;
/** Milliseconds that one call over a transport may take: beyond the 63 s that the contract gives the transport itself. */
const CALL_LIMIT = 75_000;

/** A store whose calls have core's time limits, and whose errors name it: `store sqlite`. */
export function timedStore(name: string, store: Store): Store {
  return {
    open: () => withTimeLimit(STEP_LIMIT, `${name}: open`, () => store.open()),
    leases: () => withTimeLimit(STEP_LIMIT, `${name}: leases`, () => store.leases()),
    write: (change) => withTimeLimit(WRITE_LIMIT, `${name}: write`, () => store.write(change)),
    history: (query) => withTimeLimit(STEP_LIMIT, `${name}: history`, () => store.history(query)),
    pending: (notifier, limit) => withTimeLimit(STEP_LIMIT, `${name}: pending`, () => store.pending(notifier, limit)),
    close: () => withTimeLimit(STEP_LIMIT, `${name}: close`, () => store.close()),
  };
}

/** A transport whose calls have core's time limits, and whose errors name it: `transport unix-socket`. */
export function timedTransport(name: string, transport: Transport): Transport {
  return {
    get addresses() {
      return transport.addresses;
    },
    listen: (handler) => withTimeLimit(STEP_LIMIT, `${name}: listen`, () => transport.listen(handler)),
    call: (request, signal) => withTimeLimit(CALL_LIMIT, `${name}: call`, () => transport.call(request, signal)),
    close: () => withTimeLimit(STEP_LIMIT, `${name}: close`, () => transport.close()),
  };
}
