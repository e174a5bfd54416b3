/** `npm test`: the checks, then everything that runs the product, in two lanes side by side. */
import { CHECKS } from "./checks.ts"
import { runLanes, runSteps, type Step } from "./steps.ts"

const project = (name: string, what: string): Step => ({
  name: what,
  command: ["vitest", "run", "--project", name],
})

const isChecked = await runSteps(CHECKS)
const isTested = await runLanes([
  [project("flows", "flows against the real Worker")],
  [
    project("unit", "unit tests"),
    project("local", "the local world's own tests"),
    project("accidents", "kills and a long outage"),
    project("simulation", "the simulator"),
  ],
])
process.exitCode = isChecked && isTested ? 0 : 1
