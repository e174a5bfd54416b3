/** Every route of the API, by method and path. */
import type * as z from "zod"
import type { Described } from "./common.ts"
import { COMPANIES } from "./companies.ts"
import { INTERVENTIONS } from "./interventions.ts"
import { OPERATIONS } from "./operations.ts"
import { OVERVIEW } from "./overview.ts"
import { RECOVERY } from "./recovery.ts"
import { SCORES } from "./scores.ts"
import { SETTINGS } from "./settings.ts"

const ROUTES = { ...COMPANIES, ...RECOVERY, ...INTERVENTIONS, ...SETTINGS, ...OVERVIEW, ...SCORES, ...OPERATIONS }

export const DESCRIBED: Readonly<Record<string, Described>> = ROUTES

/** A route by method and path, such as `GET /api/cases/:id`. */
export type RouteName = keyof typeof ROUTES

/** The body of a route's successful answer; `null` for an answer without one. */
export type AnswerOf<Name extends RouteName> = BodyOf<(typeof ROUTES)[Name]["answers"]>

type BodyOf<Answers> = {
  [Status in keyof Answers]: Answers[Status] extends { readonly schema: infer Schema extends z.ZodType }
    ? z.output<Schema>
    : null
}[keyof Answers]
