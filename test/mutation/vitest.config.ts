import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

const FAST_CHECK = fileURLToPath(new URL("fast-check.ts", import.meta.url))
const SEEDED_FAST_CHECK = fileURLToPath(new URL("../support/fast-check.ts", import.meta.url))

/**
 * The unit tests of the pure core, as Stryker runs them for each mutant that they reach. Property tests are left out: they take
 * many times as long as the examples, and a rule that only a random case defends has no example that states it.
 */
export default defineConfig({
  plugins: [
    {
      name: "few-cases",
      enforce: "pre",
      resolveId: (source, importer) =>
        source === "fast-check" && importer !== FAST_CHECK && importer !== SEEDED_FAST_CHECK ? FAST_CHECK : undefined,
    },
  ],
  test: {
    include: ["shared/domain/**/*.test.ts"],
    exclude: ["**/*.property.test.ts"],
    testTimeout: 30_000,
    // Nothing in the core has state of its own; one process for all files of a run makes it several times as fast.
    isolate: false,
  },
})
