export * from "./context.ts";
export * from "./namespace.ts";
export * from "./memory-transport.ts";
export * from "./transport-suite.ts";
export * from "./memory-firewall.ts";
export * from "./memory-store.ts";
export * from "./firewall-suite.ts";
export * from "./store-suite.ts";
