/** Checks before any test: format, types, import rules, dead code, that it can be deployed, and what a start costs. */
import type { Step, StepGroup } from "./steps.ts"

/** With one thread of checking, as both run side by side: each further one checks shared types again, a third more work with four. */
const typesOf = (project: string): readonly string[] => ["tsc", "-p", project, "--checkers", "1"]

/** In each group the longest step occupies one processor, and the others together about as long another. */
export const CHECKS: readonly (Step | StepGroup)[] = [
  [
    { name: "types of the Worker (tsc)", command: typesOf("tsconfig.json"), isQuiet: true },
    { name: "types of tests and local world (tsc)", command: typesOf("tsconfig.node.json"), isQuiet: true },
    { name: "dead code (knip)", command: ["knip", "--no-progress"], isQuiet: true },
  ],
  [
    { name: "format, lint (biome)", command: ["biome", "check", "--error-on-warnings", "."], isQuiet: true },
    { name: "import rules (test/rules)", command: ["node", "test/rules/check.ts"], isQuiet: true },
    { name: "deployable: staging", command: ["node", "test/deployable.ts", "staging"] },
    { name: "deployable: production", command: ["node", "test/deployable.ts", "production"] },
    { name: "start and memory", command: ["node", "test/start-and-memory.ts"] },
  ],
]

/** On every processor: by default vitest leaves one free, which of two is half. */
export const UNIT_TESTS: Step = {
  name: "unit tests",
  command: ["vitest", "run", "--project", "unit", "--project", "counted", "--maxWorkers=100%"],
}
