/** The evidence that a model is judged by before it may serve, and the judgement. */
import { pingDatabase } from "../../db/queries/health/health.ts"
import { latestDataQuality } from "../../db/queries/scoring/monitoring.ts"
import { readGateEvidence } from "../../db/queries/scoring/scores.ts"
import { completenessOf } from "../../shared/learning/monitoring/quality.ts"
import type { Artefact } from "../../shared/scoring/artefact.ts"
import { explain } from "../../shared/scoring/explain.ts"
import { evaluateGates, type GateReport } from "../../shared/scoring/gates.ts"
import type { Model } from "../../shared/scoring/model.ts"
import type { Services } from "../platform/services.ts"
import { unknownFeaturesOf } from "./serving.ts"

/** What was scored longer ago says nothing of the data as they are now. */
const EVIDENCE_MS = 14 * 86_400_000

/** Rows that are scored and explained to bound how long one takes; few enough for the smallest plan. */
const PROBE_ROWS = 16

/** Judges a checked model of a company (`*`: of all): by its own figures, the log, and a trial. */
export async function evaluateModelGates(
  services: Services,
  companyId: string,
  { sha256, model }: { readonly sha256: string; readonly model: Model },
): Promise<GateReport> {
  const { artefact } = model
  const since = new Date(services.now().getTime() - EVIDENCE_MS)
  const evidence = await readGateEvidence(services.db, companyId, sha256, since)
  const measured = await latestDataQuality(services.db, companyId, since)
  const flags = await services.flags({ isFreshNeeded: true })
  return evaluateGates({
    metrics: artefact.training.metrics,
    strangers: unknownFeaturesOf(artefact),
    dataQuality: measured ?? (evidence.missing && completeness(artefact, evidence.missing)),
    p95Ms: evidence.p95Ms ?? (await boundOfOne(services, model)),
    isStrict: flags.isOn("STRICT_QUALITY_GATES", companyId),
  })
}

/** Of the features that a model asks for, how much more is missing now than in its training. */
function completeness({ features, training }: Artefact, missing: ReadonlyMap<string, number>): number {
  return completenessOf(
    features.map(({ name }, input) => [missing.get(name) ?? 1, training.reference[input]?.missing ?? 0] as const),
  )
}

/**
 * A number of milliseconds that no single prediction passes: the time of several, one after the other, with a round trip
 * beside, since a Worker's clock stands still while it computes. Null when the round trip was too slow to say anything.
 */
async function boundOfOne({ db, now }: Services, model: Model): Promise<number | null> {
  await pingDatabase(db)
  const startedMs = now().getTime()
  for (let row = 0; row < PROBE_ROWS; row++) explain(model, probeRow(model.artefact, row))
  await pingDatabase(db)
  const tookMs = now().getTime() - startedMs
  return tookMs < LATENCY_BOUND_MS ? tookMs : null
}

/** The bound of the gate: what takes longer with everything beside is not known to be slow. */
const LATENCY_BOUND_MS = 200

/** A row out of the middle of what training saw, another one for each number. */
const probeRow = ({ features, training }: Artefact, row: number): Float64Array =>
  Float64Array.from(features, (feature, input) => {
    if (feature.type === "category") return feature.levels.length === 0 ? Number.NaN : row % feature.levels.length
    const cuts = training.reference[input]?.cuts ?? []
    return cuts[(row + input) % Math.max(1, cuts.length)] ?? row
  })
