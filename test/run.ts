/**
 * `npm test`: the checks, then everything that runs the product, one file after the other: flows have bounds in time, and
 * the simulator, which comes last, keeps every processor busy.
 */
import { CHECKS } from "./checks.ts"
import { runSteps } from "./steps.ts"

process.exitCode = (await runSteps([...CHECKS, { name: "tests", command: ["vitest", "run"] }])) ? 0 : 1
