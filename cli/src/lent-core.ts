/** `@wkfs/core` as the bundle has it, for installed plugins: the classes that they see are those that run. */
export * from "@wkfs/core";
