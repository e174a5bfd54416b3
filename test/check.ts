/** `npm run check`: all checks that take seconds. */
import { CHECKS, UNIT_TESTS } from "./checks.ts"
import { runSteps } from "./steps.ts"

process.exitCode = (await runSteps([...CHECKS, UNIT_TESTS])) ? 0 : 1
