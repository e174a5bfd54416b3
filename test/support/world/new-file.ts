/**
 * Before each file of flows: the Worker keeps settings and credentials for a minute, and each reset starts six seconds later.
 * Within a file the order of tests is always the same; which file came before depends on their durations.
 */
import { reset } from "./world.ts"

const RESETS = 11

for (let resets = 0; resets < RESETS; resets++) await reset()
