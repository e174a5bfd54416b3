/** `npm test`: the checks, the unit tests, the local world's own tests, and the flows against the real Worker. */
import { CHECKS } from "./checks.ts"
import { runSteps } from "./steps.ts"

process.exitCode = (await runSteps([...CHECKS, { name: "tests", command: ["vitest", "run"] }])) ? 0 : 1
