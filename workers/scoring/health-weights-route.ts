/** `GET /api/settings/health-weights`: how weights of the health components change its accuracy, before or after saving. */

import { Hono } from "hono"
import * as z from "zod"
import { settingsOf as readSettings } from "../../db/queries/platform/companies.ts"
import { labelledScores } from "../../db/queries/scoring/labelled-scores.ts"
import { COMPONENTS, MODEL_WEIGHTS } from "../../shared/domain/scoring/health.ts"
import { settingsOf } from "../../shared/domain/settings.ts"
import { weightEffect } from "../../shared/scoring/weight-effect.ts"
import { withPermission } from "../platform/http/auth.ts"
import { validQuery } from "../platform/http/request.ts"
import type { AppEnv } from "../platform/services.ts"
import { COMPONENT_BY_FEATURE } from "./health-view.ts"

const weight = z
  .string()
  .regex(/^\d(?:\.\d{1,6})?$/, "expected a number from 0 to 3")
  .transform(Number)
  .pipe(z.number().max(3, "expected a number from 0 to 3"))
  .optional()

const query = z.strictObject({ payment: weight, usage: weight, support: weight, relationship: weight, tenure: weight })

/** With fewer churned customers, the standard error of an AUC exceeds 0.05. */
const EVENTS_MIN = 30

export const healthWeights = new Hono<AppEnv>().get(
  "/",
  withPermission("settings:read"),
  validQuery(query),
  async (c) => {
    const { db } = c.get("services")
    const { companyId } = c.get("principal")
    const requested = c.req.valid("query")
    const [stored, labelled] = await Promise.all([
      readSettings(db, companyId),
      labelledScores(db, companyId, COMPONENT_BY_FEATURE),
    ])
    const { healthWeights: saved } = settingsOf({ settings: stored })
    const weights = { ...saved }
    for (const name of COMPONENTS) weights[name] = requested[name] ?? saved[name]
    const effect = weightEffect(labelled.rows, weights)
    return c.json({
      ...{ weights, saved, model: MODEL_WEIGHTS },
      ...effect,
      isReliable: effect.events >= EVENTS_MIN && effect.auc !== null,
      because: reasonOf(effect),
      from: labelled.from?.toISOString() ?? null,
      to: labelled.to?.toISOString() ?? null,
    })
  },
)

/** Why the metrics are missing or unreliable; null: they are reliable. */
function reasonOf({ rows, events, auc }: ReturnType<typeof weightEffect>): string | null {
  if (rows === 0) return "No score is old enough yet for its outcome to be known, so nothing can be compared."
  if (auc === null) return "Of the scores whose outcome is known, either all customers left or none did."
  return events < EVENTS_MIN ? `Only ${events} of the ${rows} customers left: the figures are a guess.` : null
}
