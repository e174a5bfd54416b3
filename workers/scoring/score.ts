/**
 * Scores customers in three round trips to Postgres: read customers and serving models, read ledgers, write predictions. One
 * is enough if the stored score is still valid. The stored score is the only cache: the champion, the score and the time of
 * the last fact are read together, so a score of another model is never returned, and no second copy needs invalidation.
 */

import { databaseFailure } from "../../db/client.ts"
import { readLedgers } from "../../db/queries/scoring/ledgers.ts"
import {
  invalidateScores,
  type NewPrediction,
  readForScoring,
  type ScoreRow,
  type ScoreTarget,
  saveScores,
} from "../../db/queries/scoring/scores.ts"
import { sha256, toHex, utf8 } from "../../shared/crypto/bytes.ts"
import { grantsAccess } from "../../shared/domain/scoring/features/access.ts"
import { type Features, features, type LedgerFact, vectorOf } from "../../shared/domain/scoring/features.ts"
import type { RiskThresholds } from "../../shared/domain/scoring/health.ts"
import { settingsOf } from "../../shared/domain/settings.ts"
import { type Compared, scoreChange } from "../../shared/scoring/reasons.ts"
import type { ScoreTrigger } from "../../shared/scoring/stored-values.ts"
import type { Services } from "../platform/services.ts"
import { type Prediction, type PredictionWithReasons, predict, predictWithReasons } from "./score-row.ts"
import { chooseServing, type Serving, type ServingModel } from "./serving.ts"

/** A score is valid for this long, unless a fact or another champion arrives sooner. */
export const HOUR_MS = 3_600_000

/** The minimum age before a fresh score is computed on request, so that frequent requests do not cause frequent writes. */
export const MIN_RESCORE_INTERVAL_MS = 60_000

/** Ledgers of one query; a long ledger takes a megabyte. */
const LEDGERS_AT_ONCE = 25

/** The score of a customer, or why there is none. */
export type ScoreResult =
  | { readonly customerId: string; readonly score: ScoreRow; readonly isStored: boolean }
  | { readonly customerId: string; readonly score: null; readonly because: "no_paid_access" | "busy" | "failed" }

export interface ScoreRequest {
  readonly trigger: ScoreTrigger
  /** How old a stored score may be; 0: every customer is scored again. */
  readonly ageMsMax: number
  /** Called before scoring with the champion and the number of customers; may throw to refuse. */
  readonly admit?: (champion: ServingModel | null, customers: number) => void
}

/** The scores of customers by the ids given (ours or the provider's); unknown customers are left out. */
export async function scoreCustomers(
  services: Services,
  companyId: string,
  names: readonly string[],
  { trigger, ageMsMax, admit }: ScoreRequest,
): Promise<ReadonlyMap<string, ScoreResult>> {
  const { config, db } = services
  const startedMs = services.now().getTime()
  const read = await readForScoring(db, companyId, names, config.scoring.modelPin)
  const { customers, serving: rows } = read
  const { riskThresholds: thresholds } = settingsOf(read)
  const serving = await chooseServing(services, companyId, rows)
  const isRealTime = (await services.flags()).isOn("REAL_TIME_PREDICTIONS", companyId)

  const result = new Map<string, ScoreResult>()
  const toScore = new Map<string, ScoreTarget>()
  const withoutAccess: string[] = []
  for (const [name, customer] of customers) {
    const { customerId, last } = customer
    if (!customer.subscriptions.some(grantsAccess)) {
      if (last !== null && last.notScored !== "no_paid_access") withoutAccess.push(customerId)
      result.set(name, { customerId, score: null, because: "no_paid_access" })
    } else if (last !== null && isStillValid(last, customer, serving, { sinceMs: startedMs - ageMsMax, isRealTime })) {
      result.set(name, { customerId, score: last, isStored: true })
    } else toScore.set(customerId, customer)
  }
  await invalidateScores(db, companyId, withoutAccess)

  const scores = new Map<string, ScoreRow>()
  const wanted = [...toScore.values()]
  admit?.(serving.champion, wanted.length)
  const busy = new Set<string>()
  const work = { companyId, serving, trigger, thresholds, startedMs, among: Math.max(1, wanted.length), busy }
  for (let start = 0; start < wanted.length; start += LEDGERS_AT_ONCE) {
    const made = await scoreSome(services, work, wanted.slice(start, start + LEDGERS_AT_ONCE))
    for (const score of made) scores.set(score.customerId, score)
  }
  for (const [name, { customerId }] of customers) {
    if (result.has(name)) continue
    const score = scores.get(customerId)
    const because = busy.has(customerId) ? "busy" : "failed"
    result.set(name, score ? { customerId, score, isStored: false } : { customerId, score: null, because })
  }
  return result
}

/** What customers are scored with, and for which company. */
interface Work {
  readonly companyId: string
  readonly serving: Serving
  readonly trigger: ScoreTrigger
  readonly thresholds: RiskThresholds
  readonly startedMs: number
  /** Number of customers that the time since `startedMs` is divided by. */
  readonly among: number
  /** Collects customers that could not be scored because their facts kept changing. */
  readonly busy: Set<string>
}

/** After this many conflicts with writers of facts, the next request or nightly scoring scores the customer. */
const ATTEMPTS_MAX = 6
const JITTER_MS = 25
/** Reading ledgers and writing scores once more. */
const ATTEMPT_SUBREQUESTS = 2

/**
 * Scores customers by their ledgers as known at one moment, and stores the scores; customers that cannot be scored are left
 * out. If a fact was recorded meanwhile, each half of the batch is retried, so that one busy customer delays few others.
 */
async function scoreSome(
  services: Services,
  work: Work,
  customers: readonly ScoreTarget[],
): Promise<readonly ScoreRow[]> {
  for (let attempt = 1; ; attempt++) {
    try {
      if (services.budget.hasRoomFor(ATTEMPT_SUBREQUESTS)) return await scoreOnce(services, work, customers)
      attempt = ATTEMPTS_MAX
    } catch (error) {
      if (databaseFailure(error) !== "stale_version") throw error
    }
    if (attempt === ATTEMPTS_MAX) {
      services.log.warn("scoring_conflicts", { companyId: work.companyId, count: customers.length })
      for (const { customerId } of customers) work.busy.add(customerId)
      return []
    }
    if (customers.length > 1) {
      const half = Math.ceil(customers.length / 2)
      const first = await scoreSome(services, work, customers.slice(0, half))
      return [...first, ...(await scoreSome(services, work, customers.slice(half)))]
    }
    await pause(crypto.getRandomValues(new Uint8Array(1)).at(0) ?? 0, attempt)
  }
}

const pause = (random: number, attempt: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, (JITTER_MS * 2 ** attempt * (random + 1)) / 256))

async function scoreOnce(
  services: Services,
  { companyId, serving, trigger, thresholds, startedMs, among }: Work,
  customers: readonly ScoreTarget[],
): Promise<readonly ScoreRow[]> {
  const asOf = services.now()
  const ids = customers.map(({ customerId }) => customerId)
  const ledgers = await readLedgers(services.db, companyId, ids)
  const made = []
  const counts = []
  for (const customer of customers) {
    const { customerId } = customer
    const ledger = ledgers.get(customerId) ?? []
    // A ledger that cannot be read must not prevent scores of the other customers.
    try {
      made.push(await make(services, companyId, { customer, ledger, serving, asOf, trigger, thresholds }))
      const known = ledger.filter(({ knownAt }) => knownAt <= asOf.toISOString())
      counts.push({ customerId, count: known.length })
    } catch (error) {
      services.log.error("customer_score_failed", { companyId, customerId, error })
    }
  }
  const tookMs = Math.ceil((services.now().getTime() - startedMs) / among)
  const predictions = made.flatMap((one) => one.predictions.map((row) => ({ ...row, tookMs })))
  const rows = made.map(({ score }) => score)
  await saveScores(services.db, companyId, { asOf, counts }, predictions, rows)
  return rows
}

/** Whether a stored score is recent enough and from the current champion, offset and, in real time, facts. */
function isStillValid(
  last: ScoreRow,
  { updatedAt }: ScoreTarget,
  { champion }: Serving,
  { sinceMs, isRealTime }: { readonly sinceMs: number; readonly isRealTime: boolean },
): boolean {
  if (last.notScored === "no_paid_access" || last.asOf.getTime() <= sinceMs) return false
  if (last.modelSha256 !== (champion?.sha256 ?? null)) return false
  const since = champion?.offsetSince ?? null
  if (since !== null && last.asOf <= since) return false
  return !isRealTime || updatedAt <= last.asOf
}

async function make(
  services: Services,
  companyId: string,
  {
    customer: { customerId, last },
    ledger,
    serving,
    asOf,
    trigger,
    thresholds,
  }: {
    readonly customer: ScoreTarget
    readonly ledger: readonly LedgerFact[]
    readonly serving: Serving
    readonly asOf: Date
    readonly trigger: ScoreTrigger
    readonly thresholds: RiskThresholds
  },
): Promise<{ readonly score: ScoreRow; readonly predictions: readonly Omit<NewPrediction, "tookMs">[] }> {
  const vector = features(ledger, asOf.toISOString())
  const vectorHash = await hashOf(vector)
  const row = (given: Prediction, isShadow: boolean, parts: PredictionWithReasons["parts"] | null) => {
    return { ...given, parts, companyId, id: services.newId(), customerId, asOf, isShadow, trigger, vector, vectorHash }
  }
  const { baseRate, riskLevel, ...prediction } = predictWithReasons(serving.champion, vector, thresholds)
  const champion = row(prediction, false, prediction.parts)
  const shadows = serving.shadows.map((shadow) => row(predict(shadow, vector), true, null))
  const score = {
    ...{ ...prediction, companyId, customerId, predictionId: champion.id, asOf, baseRate, riskLevel },
    change: last === null ? null : scoreChange(comparedOf(last), comparedOf({ ...prediction, asOf })),
  }
  return { score, predictions: [champion, ...shadows] }
}

const comparedOf = ({
  asOf,
  modelSha256,
  modelVersion,
  probability,
  logOdds,
  parts,
}: Pick<ScoreRow, "asOf" | "modelSha256" | "modelVersion" | "probability" | "logOdds" | "parts">): Compared => ({
  asOf: asOf.toISOString(),
  model: modelSha256 ?? modelVersion,
  ...{ probability, logOdds, parts },
})

/** Sha-256 in hex of the values in the order of the schema, as JSON. */
const hashOf = async (vector: Features): Promise<string> => toHex(await sha256(utf8(JSON.stringify(vectorOf(vector)))))
