/**
 * Scores customers: who they are and what serves, their ledgers, the word, the log; three round trips to Postgres, one when
 * what was said within the hour still holds. The hour's cache is the stored score itself: the pointer to the champion, the
 * score and the time of the last fact are read together, so that it is never another model's, and a second copy elsewhere
 * would only have to be kept from lying.
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

/** What is said of a customer holds for so long, unless a fact or another champion comes sooner. */
export const HOUR_MS = 3_600_000

/** What a caller who wants a fresh score is told again: asking all the time must not write all the time. */
export const MIN_RESCORE_INTERVAL_MS = 60_000

/** Ledgers that are read at once: a long one is a megabyte. */
const LEDGERS_AT_ONCE = 25

/** The score of a customer, or why there is none. */
export type ScoreResult =
  | { readonly customerId: string; readonly score: ScoreRow; readonly isStored: boolean }
  | { readonly customerId: string; readonly score: null; readonly because: "no_paid_access" | "busy" | "failed" }

export interface ScoreRequest {
  readonly trigger: ScoreTrigger
  /** How old a stored score may be; 0: everybody is scored anew. */
  readonly ageMsMax: number
  /** Called before customers are scored with what serves and how many they are; may throw instead. */
  readonly admit?: (champion: ServingModel | null, customers: number) => void
}

/** The scores of the customers that these names mean, by name; who is unknown is left out. */
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
  const left: string[] = []
  for (const [name, customer] of customers) {
    const { customerId, last } = customer
    if (!customer.subscriptions.some(grantsAccess)) {
      if (last !== null && last.notScored !== "no_paid_access") left.push(customerId)
      result.set(name, { customerId, score: null, because: "no_paid_access" })
    } else if (last !== null && holds(last, customer, serving, { sinceMs: startedMs - ageMsMax, isRealTime })) {
      result.set(name, { customerId, score: last, isStored: true })
    } else toScore.set(customerId, customer)
  }
  await invalidateScores(db, companyId, left)

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

/** What customers are scored with, and for whom. */
interface Work {
  readonly companyId: string
  readonly serving: Serving
  readonly trigger: ScoreTrigger
  readonly thresholds: RiskThresholds
  readonly startedMs: number
  /** Customers that share the time since then. */
  readonly among: number
  /** Takes those who could not be scored because facts of them kept coming. */
  readonly busy: Set<string>
}

/** Writers of the customers' facts that are always quicker leave a score to the next request or the night. */
const TRIES_MAX = 6
const JITTER_MS = 25
/** Reading ledgers once more, and writing once more. */
const TRY_SUBREQUESTS = 2

/**
 * Scores customers by their ledgers as they were known at one moment, and writes that down; who cannot be scored is left
 * out. Where a fact came to be known meanwhile the ledgers are read again, by halves, so that few wait for a busy one.
 */
async function scoreSome(
  services: Services,
  work: Work,
  customers: readonly ScoreTarget[],
): Promise<readonly ScoreRow[]> {
  for (let tries = 1; ; tries++) {
    try {
      if (services.budget.hasRoomFor(TRY_SUBREQUESTS)) return await scoreOnce(services, work, customers)
      tries = TRIES_MAX
    } catch (error) {
      if (databaseFailure(error) !== "stale_version") throw error
    }
    if (tries === TRIES_MAX) {
      services.log.warn("scoring_conflicts", { companyId: work.companyId, count: customers.length })
      for (const { customerId } of customers) work.busy.add(customerId)
      return []
    }
    if (customers.length > 1) {
      const half = Math.ceil(customers.length / 2)
      const first = await scoreSome(services, work, customers.slice(0, half))
      return [...first, ...(await scoreSome(services, work, customers.slice(half)))]
    }
    await pause(crypto.getRandomValues(new Uint8Array(1)).at(0) ?? 0, tries)
  }
}

const pause = (random: number, tries: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, (JITTER_MS * 2 ** tries * (random + 1)) / 256))

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
    // One ledger that cannot be read must not keep the others of a batch, or of a night, from their scores.
    try {
      made.push(await make(services, companyId, { customer, ledger, serving, asOf, trigger, thresholds }))
      const known = ledger.filter(({ knownAt }) => knownAt <= asOf.toISOString())
      counts.push({ customerId, count: known.length })
    } catch (error) {
      services.log.error("customer_score_failed", { companyId, customerId, error })
    }
  }
  const tookMs = Math.ceil((services.now().getTime() - startedMs) / among)
  const said = made.flatMap((one) => one.said.map((row) => ({ ...row, tookMs })))
  const rows = made.map(({ score }) => score)
  await saveScores(services.db, companyId, { asOf, counts }, said, rows)
  return rows
}

/** Whether a stored score still says what would be said now, as far as an hour's grace goes. */
function holds(
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
): Promise<{ readonly score: ScoreRow; readonly said: readonly Omit<NewPrediction, "tookMs">[] }> {
  const vector = features(ledger, asOf.toISOString())
  const vectorHash = await hashOf(vector)
  const row = (said: Prediction, isShadow: boolean, parts: PredictionWithReasons["parts"] | null) => {
    return { ...said, parts, companyId, id: services.newId(), customerId, asOf, isShadow, trigger, vector, vectorHash }
  }
  const { baseRate, riskLevel, ...said } = predictWithReasons(serving.champion, vector, thresholds)
  const champion = row(said, false, said.parts)
  const shadows = serving.shadows.map((shadow) => row(predict(shadow, vector), true, null))
  const score = {
    ...{ ...said, companyId, customerId, predictionId: champion.id, asOf, baseRate, riskLevel },
    change: last === null ? null : scoreChange(comparedOf(last), comparedOf({ ...said, asOf })),
  }
  return { score, said: [champion, ...shadows] }
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
