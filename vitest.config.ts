import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["{core,plugins,cli,test,scripts}/**/*.test.ts"],
    // The templates are packages of their own: a test makes such packages and runs their tests.
    exclude: ["**/node_modules/**", "**/dist/**", "cli/templates/**"],
    globalSetup: ["./scripts/test-folder.mjs"],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // Two cores, and many tests wait for the kernel or a child process rather than compute.
    maxWorkers: 4,
    reporters: ["default", "./scripts/count-reporter.mjs"],
  },
});
