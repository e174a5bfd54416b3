/**
 * `npm test`: the checks, then everything that runs the product. Only steps that mostly wait run side by side: tests with time
 * limits would suffer from flows or the simulator, which keep every processor busy by themselves.
 */
import { CHECKS, UNIT_TESTS } from "./checks.ts"
import { runSteps, type Step } from "./steps.ts"

const project = (name: string, what: string): Step => ({ name: what, command: ["vitest", "run", "--project", name] })

const isOk = await runSteps([
  ...CHECKS,
  UNIT_TESTS,
  [project("db", "queries and functions on a real Postgres"), project("local", "the local world's own tests")],
  [project("browser", "the dashboard in a browser"), project("process-failures", "kills and a long outage")],
  project("flows", "flows against the real Worker"),
  project("simulation", "the simulator"),
])
process.exitCode = isOk ? 0 : 1
