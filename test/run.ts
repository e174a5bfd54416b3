/**
 * `npm test`: the checks, then everything that runs the product, in two lanes side by side. Tests with time limits run one
 * after the other in the first, which often waits. The simulator has a virtual clock, keeps every processor busy and takes
 * what the first lane leaves; so do process failures, whose limits are long.
 */
import { CHECKS, UNIT_TESTS } from "./checks.ts"
import { runLanes, runSteps, type Step } from "./steps.ts"

const project = (name: string, what: string): Step => ({ name: what, command: ["vitest", "run", "--project", name] })

const isChecked = await runSteps(CHECKS)
const isTested = await runLanes([
  {
    steps: [
      UNIT_TESTS,
      project("db", "queries and functions on a real Postgres"),
      project("flows", "flows against the real Worker"),
      project("browser", "the dashboard in a browser"),
      project("local", "the local world's own tests"),
    ],
  },
  {
    isLowPriority: true,
    steps: [project("simulation", "the simulator"), project("process-failures", "kills and a long outage")],
  },
])
process.exitCode = isChecked && isTested ? 0 : 1
