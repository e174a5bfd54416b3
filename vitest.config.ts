import { defineConfig } from "vitest/config"

/**
 * `unit` needs nothing but Node; `flows` starts the local world once and drives the real Worker over HTTP; `accidents` have
 * worlds of their own, to kill; `simulation` plays the Worker in a world of its own.
 */
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
          name: "accidents",
          include: ["test/accidents/**/*.test.ts"],
          testTimeout: 240_000,
          hookTimeout: 60_000,
          fileParallelism: false,
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
      {
        test: {
          name: "simulation",
          include: ["test/simulation/**/*.test.ts"],
          testTimeout: 600_000,
          hookTimeout: 60_000,
          // It keeps every processor busy by itself, so it comes after the others.
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
})
