/**
 * `npm test`: the checks, then everything that runs the product, one after the other: tests with time limits would suffer from
 * the simulator, which keeps every processor busy by itself.
 */
import { CHECKS, UNIT_TESTS } from "./checks.ts"
import { runSteps, type Step } from "./steps.ts"

const project = (name: string, what: string): Step => ({ name: what, command: ["vitest", "run", "--project", name] })

const isOk = await runSteps([
  ...CHECKS,
  UNIT_TESTS,
  project("db", "queries and functions on a real Postgres"),
  project("flows", "flows against the real Worker"),
  project("browser", "the dashboard in a browser"),
  project("local", "the local world's own tests"),
  project("process-failures", "kills and a long outage"),
  project("simulation", "the simulator"),
])
process.exitCode = isOk ? 0 : 1
