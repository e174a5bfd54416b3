import { defineConfig } from "vitest/config"

/** `unit` needs nothing but Node; `flows` starts the local world once and drives the real Worker over HTTP. */
export default defineConfig({
  test: {
    reporters: ["default"],
    silent: "passed-only",
    projects: [
      {
        test: {
          name: "unit",
          include: ["shared/**/*.test.ts", "workers/**/*.test.ts", "db/**/*.test.ts", "ops/**/*.test.ts"],
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: "local",
          include: ["local/**/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: "flows",
          include: ["test/flows/**/*.test.ts"],
          globalSetup: ["test/support/global-setup.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          fileParallelism: false,
        },
      },
    ],
  },
})
