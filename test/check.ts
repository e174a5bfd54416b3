/** `npm run check`: checks and unit tests. One of them, start and memory, starts a local world; the others need only Node. */
import { CHECKS, UNIT_TESTS } from "./checks.ts"
import { runSteps } from "./steps.ts"

process.exitCode = (await runSteps([...CHECKS, UNIT_TESTS])) ? 0 : 1
