/** Every route by method and path, as its clients rely on it. */
import type { Described } from "./common.ts"
import { MEMBERS } from "./members.ts"
import { OPERATIONS } from "./operations.ts"
import { SCORES } from "./scores.ts"

export const DESCRIBED: Readonly<Record<string, Described>> = { ...MEMBERS, ...SCORES, ...OPERATIONS }
