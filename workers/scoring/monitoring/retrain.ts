/**
 * Challengers: evaluated on matured labels, and trained when none is pending. A challenger scores as a shadow of the champion
 * until its verdict; a better one is proposed, and its promotion is a manual decision.
 */
import { addModel, type ModelChangeAudit, setModelState } from "../../../db/queries/scoring/models.ts"
import { type LabelledVector, labelledPairs, labelledVectors } from "../../../db/queries/scoring/outcomes.ts"
import {
  pendingChallengers,
  type RetrainingEnd,
  recordRetraining,
  recordVerdict,
} from "../../../db/queries/scoring/retrainings.ts"
import { readServing } from "../../../db/queries/scoring/serving.ts"
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
import { encode, score } from "../../../shared/scoring/model/model.ts"
import type { Services } from "../../platform/services.ts"
import { chooseServing, type ServingModel } from "../serving.ts"
import { LABEL_HORIZON_MS } from "./label-windows.ts"
import { notifyProposal } from "./notify.ts"

const DAY_MS = 86_400_000

/** Rows that a challenger is trained on, and rows per query. */
const ROWS_MAX = 6_000
const PAGE = 1_500
/** Columns of its scorecard. With all rows they take at most about 10 s of CPU time; a paid plan allows 30 s. */
const COLUMNS_MAX = 200
/** Three years of labels; older ones no longer represent the business. */
const ROWS_MS = 3 * 365 * DAY_MS

/** Labels used for a verdict. */
const PAIRS_MAX = 8_000

/** A challenger that half a year of labels cannot distinguish from the champion is retired. */
const WAITING_MS = 240 * DAY_MS

/** Fixed, so that the same labels give the same model and verdict. */
const SEED = 1

/** Most subrequests per company: verdicts on two shadows, what serves and its artefact, rows, the model, audit records. */
export const RETRAIN_SUBREQUESTS = 1 + 2 * 4 + 3 + ROWS_MAX / PAGE + 1 + 4

/** The result for one company. */
export interface RetrainResult {
  readonly outcome: string
  readonly judged: number
  readonly proposed: number
  readonly retired: number
}

/** Evaluates the challengers of a company and, if none is pending, trains a new one. */
export async function retrainCompany(services: Services, companyId: string): Promise<RetrainResult> {
  const counts = await evaluatePending(services, companyId)
  if (counts.waiting > 0) return { ...counts, outcome: "challenger_waits" }
  const startedAt = services.now()
  const end = await trainChallenger(services, companyId)
  const run = { id: services.newId(), startedAt, finishedAt: services.now() }
  await recordRetraining(services.db, companyId, { ...end, ...run })
  return { ...counts, outcome: end.outcome }
}

async function evaluatePending(services: Services, companyId: string) {
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
      await setModelState(db, companyId, challenger, "retired", auditOf(services, why))
      counts.retired += 1
    } else counts.waiting += 1
  }
  return counts
}

const auditOf = ({ newId, now }: Services, why: string): ModelChangeAudit => ({
  id: newId(),
  who: "retraining",
  why,
  now: now(),
})

/** Trains a challenger and makes it a shadow, or returns why not. */
async function trainChallenger(services: Services, companyId: string): Promise<RetrainingEnd> {
  const { config, db, now } = services
  const serving = await chooseServing(services, companyId, await readServing(db, companyId, config.scoring.modelPin))
  const { champion } = serving
  const nothing = { method: null, championSha256: champion?.sha256 ?? null, challengerSha256: null }
  if (champion === null) return { ...nothing, outcome: "no_champion", rows: 0, events: 0 }
  const rows = await labelsOf(services, companyId)
  const events = rows.filter(({ isChurned }) => isChurned).length
  const method = methodFor(rows.length, events)
  const found = { ...nothing, rows: rows.length, events }
  if (method === null) return { ...found, outcome: "too_few_labels" }
  const trainedAt = now().toISOString()
  const trained = await train(method, champion, rows, trainedAt)
  if (trained === null) return { ...found, method, outcome: "nothing_to_change" }
  const challengerSha256 = await store(services, companyId, method, trained, { trainedAt, rows: rows.length })
  const shadowed = await setModelState(
    db,
    companyId,
    challengerSha256,
    "shadow",
    auditOf(services, "trained on matured labels"),
  )
  const outcome = shadowed.outcome === "too_many_shadows" ? "too_many_shadows" : "challenger_shadows"
  return { ...found, method, challengerSha256, outcome }
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

/** A model, and the company's offset for it; null: the model is the company's own and needs none. */
type Challenger = Pick<Recalibrated, "artefact"> & { readonly offset: number | null }

/** A new model; null if the labels justify no change or do not suffice. */
async function train(
  method: ChallengerMethod,
  champion: ServingModel,
  rows: readonly LabelledVector[],
  trainedAt: string,
): Promise<Challenger | null> {
  if (method === "recalibrated") {
    // Predicted again by this champion, because some rows were scored by an earlier one.
    const predictions = rows.map(({ vector, isChurned }) => ({
      probability: score(champion.model, encode(champion.model, vector).vector, champion.offset).probability,
      isChurned,
    }))
    return recalibrated(champion.model.artefact, champion.offset, predictions, trainedAt)
  }
  const matrix = new FeatureMatrix()
  // Vectors in the log were written by `features`; a feature that no longer exists is missing.
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

async function store(
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
    auditOf(services, "made of matured labels"),
    offset === null ? null : { logOdds: offset, rows, madeAt: new Date(trainedAt) },
  )
  return address
}
