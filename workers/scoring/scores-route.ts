/** `POST /api/score`: scores customers, or features in the request, one or a batch. */

import { type Context, Hono } from "hono"
import * as z from "zod"
import { settingsOf as readSettings } from "../../db/queries/platform/companies.ts"
import { readServing } from "../../db/queries/scoring/serving.ts"
import { settingsOf } from "../../shared/domain/settings.ts"
import { explanationCost } from "../../shared/scoring/model/model.ts"
import { AppError } from "../platform/errors.ts"
import { requirePermission, withPermission } from "../platform/http/auth.ts"
import { idText, validJson } from "../platform/http/request.ts"
import type { AppEnv } from "../platform/services.ts"
import { HOUR_MS, MIN_RESCORE_INTERVAL_MS, type ScoreResult, scoreCustomers } from "./score.ts"
import { predictWithReasons, unusedFields } from "./score-row.ts"
import { CONCURRENT_UPDATE, showScore, showStoredPrediction } from "./score-view.ts"
import { chooseServing, findServing, type ServingModel } from "./serving.ts"

/** Enough for a batch of the largest accepted records. */
const BODY_BYTES_MAX = 1024 * 1024

/** Models have fewer inputs; other fields of a record are ignored. */
const NAMES_MAX = 1_000

const record = z
  .record(z.string(), z.unknown())
  .refine((given) => Object.keys(given).length <= NAMES_MAX, { error: `expected at most ${NAMES_MAX} features` })

const item = z.union([z.strictObject({ customerId: idText }), z.strictObject({ features: record })], {
  error: "expected an object with customerId, or with features",
})
type Item = z.infer<typeof item>

const choices = {
  /** A model other than the champion, by SHA-256 or version; for features only. */
  model: idText.optional(),
  /** True: scored again even if a score of the last hour is stored. */
  fresh: z.boolean().default(false),
}

/** The largest ML_BATCH_SIZE; a deployment may allow fewer. */
const ITEMS_MAX = 100

const wanted = z.lazy(() =>
  z.union(
    [
      z.strictObject({
        ...choices,
        items: z.array(item).min(1).max(ITEMS_MAX, `expected at most ${ITEMS_MAX} items`),
      }),
      z.strictObject({ ...choices, customerId: idText }),
      z.strictObject({ ...choices, features: record }),
    ],
    { error: `expected customerId, features, or a list of at most ${ITEMS_MAX} items of these` },
  ),
)

const bounded = validJson(wanted, { bytesMax: BODY_BYTES_MAX })

export const scores = new Hono<AppEnv>().post("/", withPermission("scores:read"), bounded, async (c) => {
  const { batchMax } = c.get("services").config.scoring
  const body = c.req.valid("json")
  const { model = null, fresh } = body
  if ("items" in body && body.items.length > batchMax) {
    throw new AppError("MALFORMED", `The body is not acceptable: items: expected at most ${batchMax} items.`)
  }
  if ("items" in body) return c.json({ data: await scoreAll(c, body.items, { model, fresh }) })
  const single: Item = "customerId" in body ? { customerId: body.customerId } : { features: body.features }
  const [result] = await scoreAll(c, [single], { model, fresh })
  if (result === undefined || result.error !== null) {
    const error = result?.error ?? UNKNOWN
    throw new AppError(error.code, error.detail)
  }
  return c.json(result)
})

/** Limit per request: records and customers × the model's steps for one (leaves × depth²). Takes well below a second. */
const REQUEST_WORK_MAX = 100_000_000

/** Throws MALFORMED, with the numbers, if scoring this many items would block the isolate for other requests. */
function requireBoundedWork(serving: ServingModel | null, records: number): void {
  const work = serving === null ? 0 : explanationCost(serving.model) * records
  if (work <= REQUEST_WORK_MAX) return
  const most = Math.floor((REQUEST_WORK_MAX * records) / work)
  throw new AppError(
    "MALFORMED",
    `Scoring ${records} items by this model takes ${work} steps, and a request may take ${REQUEST_WORK_MAX}: send at most ${most}.`,
    { reason: "too_much_work", extension: { work, workMax: REQUEST_WORK_MAX, itemsMax: most } },
  )
}

const UNKNOWN = { code: "NOT_FOUND", detail: "There is no such customer." } as const
const LATER = { code: "UNAVAILABLE", detail: CONCURRENT_UPDATE } as const
const FAILED = { code: "INTERNAL", detail: "Something went wrong on our side." } as const

interface Choice {
  readonly model: string | null
  readonly fresh: boolean
}

async function scoreAll(c: Context<AppEnv>, items: readonly Item[], { model, fresh }: Choice) {
  const services = c.get("services")
  const { companyId } = c.get("principal")
  const names = items.flatMap((each) => ("customerId" in each ? [each.customerId] : []))
  if (model !== null) {
    requirePermission(c.get("principal"), "models:read")
    if (names.length > 0)
      throw new AppError("MALFORMED", "Customers are scored by the champion: model is for features only.")
  }
  const records = items.length - names.length
  const hasRecords = records > 0
  const serving = hasRecords ? await servingOf(c, model) : null
  requireBoundedWork(serving, records)
  const scored =
    names.length === 0
      ? new Map<string, ScoreResult>()
      : await scoreCustomers(services, companyId, names, {
          ...{ trigger: "request", ageMsMax: fresh ? MIN_RESCORE_INTERVAL_MS : HOUR_MS },
          admit: (champion, customers) => requireBoundedWork(champion, customers + records),
        })
  const stored = hasRecords ? await readSettings(services.db, companyId) : null
  const { riskThresholds } = settingsOf({ settings: stored })
  return items.map((each) => {
    if ("features" in each) {
      const prediction = predictWithReasons(serving, each.features, riskThresholds)
      return { ...showStoredPrediction(services, prediction), ...unusedFields(serving, each.features), error: null }
    }
    const found = scored.get(each.customerId)
    if (found === undefined) return { customerId: each.customerId, status: "failed", error: UNKNOWN } as const
    const because = found.score === null ? found.because : null
    if (because === "failed") return { customerId: each.customerId, status: "failed", error: FAILED } as const
    if (because === "busy") return { customerId: each.customerId, status: "failed", error: LATER } as const
    return { ...showScore(services, found), error: null }
  })
}

/** The model for scoring features: the requested one, or the champion; null: rules. */
async function servingOf(c: Context<AppEnv>, name: string | null): Promise<ServingModel | null> {
  const services = c.get("services")
  const { companyId } = c.get("principal")
  if (name !== null) {
    const named = await findServing(services, companyId, name)
    if (named === null) throw new AppError("NOT_FOUND", "There is no such model.")
    return named
  }
  const rows = await readServing(services.db, companyId, services.config.scoring.modelPin)
  return (await chooseServing(services, companyId, rows)).champion
}
