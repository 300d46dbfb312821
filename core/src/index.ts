/**
 * The public face of core for plugin authors and embedders: contracts and model. The roles are in
 * `@wkfs/core/daemon`, `/gateway` and `/client`, so that each process loads only what it runs.
 */
export * from "./contracts/firewall.ts";
export * from "./contracts/notifier.ts";
export * from "./contracts/plugin.ts";
export * from "./contracts/store.ts";
export * from "./contracts/transport.ts";
export * from "./model/address.ts";
export * from "./model/errors.ts";
export * from "./model/event.ts";
export * from "./model/event-text.ts";
export * from "./model/knock.ts";
export * from "./model/lease.ts";
export * from "./model/port.ts";
