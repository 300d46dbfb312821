export * from "./context.ts";
export * from "./namespace.ts";
