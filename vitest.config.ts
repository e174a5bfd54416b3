import { availableParallelism } from "node:os"
import { fileURLToPath } from "node:url"
import { defineConfig, type Plugin } from "vitest/config"
import { SlowFilesFirst } from "./test/support/slow-files-first.ts"

const FAST_CHECK = fileURLToPath(new URL("test/support/fast-check.ts", import.meta.url))

/** Worlds that flows run in side by side; each takes half a processor, and waits for the rest. */
const FLOW_WORLDS = Math.max(2, Math.ceil(1.5 * Math.min(availableParallelism(), 4)))

/** Tests that ask for fast-check get it with a seed. */
const seeded: Plugin = {
  name: "seeded-properties",
  enforce: "pre",
  resolveId: (source, importer) => (source === "fast-check" && importer !== FAST_CHECK ? FAST_CHECK : undefined),
}

/** Switches V8's optimizing compilers off, for the rest of its process, and counts in modules that it evaluates itself. */
const COUNTED = "shared/domain/recovery/fold/work.property.test.ts"

/**
 * After all tests have passed, Node can hang while it closes the handles of ended child processes
 * (`Environment::CleanupHandles`). This exit listener runs last and exits at once, with the exit code of the run.
 */
process.once("beforeExit", () => process.once("exit", () => process.exit()))

/**
 * `unit` needs nothing but Node; `counted` is a unit test with a process of its own; `db` tests queries and functions on a real
 * Postgres, in transactions that are rolled back; `local` tests the local replacements; `flows` drive the real Worker over HTTP,
 * each process in a local world of its own; `process-failures` start worlds and kill them; `browser` opens the dashboard of one
 * world; `simulation` runs the Worker in simulated worlds.
 */
export default defineConfig({
  test: {
    reporters: ["default"],
    silent: "passed-only",
    sequence: { sequencer: SlowFilesFirst },
    projects: [
      {
        plugins: [seeded],
        test: {
          name: "unit",
          include: ["{shared,workers,db,ops,bench,test/rules}/**/*.test.ts"],
          exclude: ["**/*.db.test.ts", COUNTED],
          testTimeout: 30_000,
          // No test replaces a module, and loading the modules again for each file takes a third of the time.
          isolate: false,
          setupFiles: ["test/support/shared-process.ts"],
        },
      },
      {
        plugins: [seeded],
        test: { name: "counted", include: [COUNTED], testTimeout: 30_000 },
      },
      {
        plugins: [seeded],
        test: {
          name: "db",
          include: ["db/**/*.db.test.ts"],
          globalSetup: ["test/support/database-setup.ts"],
          testTimeout: 30_000,
          // They share one database, in which each test is one transaction that is rolled back.
          fileParallelism: false,
        },
      },
      {
        plugins: [seeded],
        test: {
          name: "local",
          include: ["local/**/*.test.ts"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: "process-failures",
          include: ["test/process-failures/**/*.test.ts"],
          testTimeout: 600_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
      {
        plugins: [seeded],
        test: {
          name: "flows",
          include: ["test/flows/**/*.test.ts"],
          setupFiles: ["test/support/world/new-file.ts"],
          globalSetup: ["test/support/world/global-setup.ts"],
          // Days pass in seconds on an idle machine; a busy one takes many times as long, and is no fault.
          testTimeout: 240_000,
          hookTimeout: 120_000,
          // Each process has a world of its own (global-setup.ts).
          maxWorkers: FLOW_WORLDS,
          // Nothing is replaced in this process, and loading the Worker's modules again for each file takes a second.
          isolate: false,
        },
      },
      {
        test: {
          name: "browser",
          include: ["test/browser/**/*.test.ts"],
          globalSetup: ["test/support/world/global-setup.ts"],
          // All pages in four looks at once.
          testTimeout: 480_000,
          hookTimeout: 120_000,
          maxWorkers: 1,
        },
      },
      {
        test: {
          name: "simulation",
          include: ["test/simulation/**/*.test.ts"],
          // It waits for processors while others need them (test/run.ts).
          testTimeout: 2_400_000,
          hookTimeout: 600_000,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
})
