/** Every route of the API, by method and path. */
import type { Described } from "./common.ts"
import { COMPANIES } from "./companies.ts"
import { MEMBERS } from "./members.ts"
import { OPERATIONS } from "./operations.ts"
import { SCORES } from "./scores.ts"

export const DESCRIBED: Readonly<Record<string, Described>> = { ...COMPANIES, ...MEMBERS, ...SCORES, ...OPERATIONS }
