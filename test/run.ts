/**
 * `npm test`: the checks, then everything that runs the product. Steps that mostly wait run side by side; flows, which have
 * time limits, run alone. The simulator keeps every processor busy but depends on no real time: it takes what the others leave.
 */
import { CHECKS, UNIT_TESTS } from "./checks.ts"
import { runSteps, type Step } from "./steps.ts"

const project = (name: string, what: string): Step => ({ name: what, command: ["vitest", "run", "--project", name] })

const isOk = await runSteps(
  [
    ...CHECKS,
    UNIT_TESTS,
    [project("db", "queries and functions on a real Postgres"), project("local", "the local world's own tests")],
    [project("browser", "the dashboard in a browser"), project("process-failures", "kills and a long outage")],
    project("flows", "flows against the real Worker"),
  ],
  { ...project("simulation", "the simulator"), isPatient: true },
)
process.exitCode = isOk ? 0 : 1
