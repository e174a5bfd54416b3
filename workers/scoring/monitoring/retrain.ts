/**
 * Challengers: judged by the labels that have matured, and made anew once none waits. A challenger scores in the shadow of
 * the champion until its verdict; one that is better is proposed, and to promote it is left to people.
 */
import { addModel, type ModelChangeAudit, readServing, setModelState } from "../../../db/queries/scoring/models.ts"
import { type LabelledVector, labelledPairs, labelledVectors } from "../../../db/queries/scoring/outcomes.ts"
import {
  pendingChallengers,
  type RetrainingEnd,
  recordRetraining,
  recordVerdict,
} from "../../../db/queries/scoring/retrainings.ts"
import { sha256, toHex, utf8 } from "../../../shared/crypto/bytes.ts"
import type { Features } from "../../../shared/domain/scoring/features.ts"
import { FeatureMatrix, plausibleDirections } from "../../../shared/learning/data/feature-matrix.ts"
import {
  type ChallengerMethod,
  methodFor,
  type Recalibrated,
  recalibrated,
} from "../../../shared/learning/monitoring/challenger.ts"
import { evaluateChallenger } from "../../../shared/learning/monitoring/verdict.ts"
import { trainScorecard } from "../../../shared/learning/train-model.ts"
import { CannotTrain } from "../../../shared/learning/training-error.ts"
import { encode, score } from "../../../shared/scoring/model.ts"
import type { Services } from "../../platform/services.ts"
import { chooseServing, type ServingModel } from "../serving.ts"
import { LABEL_HORIZON_MS } from "./label-windows.ts"
import { notifyProposal } from "./notify.ts"

const DAY_MS = 86_400_000

/** Rows that a challenger is trained on, and those that are read at once. */
const ROWS_MAX = 6_000
const PAGE = 1_500
/** Columns of its scorecard: so many, with all rows, take about ten seconds of processor time at worst; a paid plan has thirty. */
const COLUMNS_MAX = 200
/** Labels of three years: older ones speak of another business. */
const ROWS_MS = 3 * 365 * DAY_MS

/** Labels that a verdict rests on. */
const PAIRS_MAX = 8_000

/** A challenger that half a year of labels cannot tell from the champion is none. */
const WAITING_MS = 240 * DAY_MS

/** Fixed: the same labels come to the same model and verdict. */
const SEED = 1

/** What one company costs at most: verdicts on two shadows, what serves and its artefact, rows, the model, notes. */
export const RETRAIN_SUBREQUESTS = 1 + 2 * 4 + 3 + ROWS_MAX / PAGE + 1 + 4

/** What came of a company's turn. */
export interface RetrainResult {
  readonly outcome: string
  readonly judged: number
  readonly proposed: number
  readonly retired: number
}

/** Judges the challengers of a company and, when none of them waits, makes a new one. */
export async function retrainCompany(services: Services, companyId: string): Promise<RetrainResult> {
  const counts = await judgeAll(services, companyId)
  if (counts.waiting > 0) return { ...counts, outcome: "challenger_waits" }
  const startedAt = services.now()
  const end = await trainChallenger(services, companyId)
  const note = { id: services.newId(), startedAt, finishedAt: services.now() }
  await recordRetraining(services.db, companyId, { ...end, ...note })
  return { ...counts, outcome: end.outcome }
}

async function judgeAll(services: Services, companyId: string) {
  const { db, log } = services
  const counts = { judged: 0, proposed: 0, retired: 0, waiting: 0 }
  for (const { id, challengerSha256: challenger, startedAt } of await pendingChallengers(db, companyId)) {
    const now = services.now()
    const verdict = evaluateChallenger(await labelledPairs(db, companyId, challenger, PAIRS_MAX), SEED)
    const isNew = await recordVerdict(db, companyId, id, verdict, now)
    counts.judged += 1
    log.info("challenger_evaluated", { companyId, outcome: verdict.word, reason: verdict.reason })
    if (isNew) {
      counts.proposed += 1
      await notifyProposal(services, companyId, { id, verdict })
    }
    const isTooOld = verdict.word === "wait" && now.getTime() - startedAt.getTime() > WAITING_MS
    if (verdict.word === "reject" || isTooOld) {
      const why = isTooOld ? "labels cannot tell it from the champion" : "it predicts worse than the champion"
      await setModelState(db, companyId, challenger, "retired", noteOf(services, why))
      counts.retired += 1
    } else counts.waiting += 1
  }
  return counts
}

const noteOf = ({ newId, now }: Services, why: string): ModelChangeAudit => ({
  id: newId(),
  who: "retraining",
  why,
  now: now(),
})

/** Makes a challenger and lets it score in the shadow, or says why not. */
async function trainChallenger(services: Services, companyId: string): Promise<RetrainingEnd> {
  const { config, db, now } = services
  const serving = await chooseServing(services, companyId, await readServing(db, companyId, config.scoring.modelPin))
  const { champion } = serving
  const nothing = { method: null, championSha256: champion?.sha256 ?? null, challengerSha256: null }
  if (champion === null) return { ...nothing, outcome: "no_champion", rows: 0, events: 0 }
  const rows = await labelsOf(services, companyId)
  const events = rows.filter(({ isChurned }) => isChurned).length
  const method = methodFor(rows.length, events)
  const seen = { ...nothing, rows: rows.length, events }
  if (method === null) return { ...seen, outcome: "too_few_labels" }
  const trainedAt = now().toISOString()
  const made = await make(method, champion, rows, trainedAt)
  if (made === null) return { ...seen, method, outcome: "nothing_to_change" }
  const challengerSha256 = await keep(services, companyId, method, made, { trainedAt, rows: rows.length })
  const shadowed = await setModelState(
    db,
    companyId,
    challengerSha256,
    "shadow",
    noteOf(services, "trained on matured labels"),
  )
  const outcome = shadowed.outcome === "too_many_shadows" ? "too_many_shadows" : "challenger_shadows"
  return { ...seen, method, challengerSha256, outcome }
}

async function labelsOf({ db, now }: Services, companyId: string): Promise<LabelledVector[]> {
  const from = new Date(now().getTime() - ROWS_MS)
  const rows: LabelledVector[] = []
  while (rows.length < ROWS_MAX) {
    const page = await labelledVectors(db, companyId, null, { from, limit: PAGE, offset: rows.length })
    rows.push(...page)
    if (page.length < PAGE) break
  }
  return rows
}

/** A model, and what the company adds to it; null: it is the company's own. */
type Challenger = Pick<Recalibrated, "artefact"> & { readonly offset: number | null }

/** Null: the labels ask for no other model, or allow none. */
async function make(
  method: ChallengerMethod,
  champion: ServingModel,
  rows: readonly LabelledVector[],
  trainedAt: string,
): Promise<Challenger | null> {
  if (method === "recalibrated") {
    // What this champion says of them: some were predicted by the one before.
    const said = rows.map(({ vector, isChurned }) => ({
      probability: score(champion.model, encode(champion.model, vector).vector, champion.offset).probability,
      isChurned,
    }))
    return recalibrated(champion.model.artefact, champion.offset, said, trainedAt)
  }
  const matrix = new FeatureMatrix()
  // What lies in the log was written by `features`; a name that is gone is missing.
  for (const { vector } of rows) matrix.add(vector as Features)
  try {
    const { artefact } = await trainScorecard(
      {
        matrix: matrix.build(),
        outcomes: Uint8Array.from(rows, ({ isChurned }) => Number(isChurned)),
        customers: rows.map(({ customerId }) => customerId),
        times: Float64Array.from(rows, ({ asOf }) => asOf.getTime()),
      },
      {
        seed: SEED,
        trainedAt,
        label: "churned",
        monotone: plausibleDirections,
        horizonMs: 2 * LABEL_HORIZON_MS,
      },
      COLUMNS_MAX,
    )
    return { artefact, offset: null }
  } catch (error) {
    if (error instanceof CannotTrain) return null
    throw error
  }
}

async function keep(
  services: Services,
  companyId: string,
  method: ChallengerMethod,
  { artefact, offset }: Challenger,
  { trainedAt, rows }: { readonly trainedAt: string; readonly rows: number },
): Promise<string> {
  const text = JSON.stringify(artefact)
  const bytes = utf8(text)
  const address = toHex(await sha256(bytes))
  const { dataHash, reference: _reference, scoreReference: _scoreReference, ...summary } = artefact.training
  await addModel(
    services.db,
    {
      ...{ companyId, sha256: address, version: `${method}-${trainedAt.slice(0, 10)}-${address.slice(0, 8)}` },
      ...{ kind: artefact.kind, featureHash: artefact.featureHash, dataHash, artefact: text },
      ...{ bytes: bytes.byteLength, training: summary },
    },
    noteOf(services, "made of matured labels"),
    offset === null ? null : { logOdds: offset, rows, madeAt: new Date(trainedAt) },
  )
  return address
}
