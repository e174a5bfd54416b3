/**
 * `npm test`: the checks, then everything that runs the product, in two lanes side by side. Flows come one after the other
 * and wait a good deal of their time. Beside them, first, runs what keeps every processor busy and knows no bound in time;
 * it gives way to the flows. Then what needs one processor and has bounds.
 */
import { CHECKS, UNIT_TESTS } from "./checks.ts"
import { runLanes, runSteps, type Step } from "./steps.ts"

const project = (name: string, what: string): Step => ({ name: what, command: ["vitest", "run", "--project", name] })

const isChecked = await runSteps(CHECKS)
const isTested = await runLanes([
  [project("flows", "flows against the real Worker")],
  [
    { ...project("simulation", "the simulator"), isBehind: true },
    { ...project("accidents", "kills and a long outage"), isBehind: true },
    UNIT_TESTS,
    project("local", "the local world's own tests"),
  ],
])
process.exitCode = isChecked && isTested ? 0 : 1
