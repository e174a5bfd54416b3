/**
 * `npm test`: the checks, then everything that runs the product. Flows mostly wait, so the rest runs beside them; the
 * simulator keeps every processor busy and would make them late, so it comes last.
 */
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
  ],
])
const isSimulated = await runSteps([project("simulation", "the simulator")])
process.exitCode = isChecked && isTested && isSimulated ? 0 : 1
