/** Collects the evidence for a model's quality gates, and evaluates them. */
import { pingDatabase } from "../../db/queries/health/health.ts"
import { latestDataQuality } from "../../db/queries/scoring/monitoring.ts"
import { readGateEvidence } from "../../db/queries/scoring/scores.ts"
import { completenessOf } from "../../shared/learning/monitoring/quality.ts"
import { explain } from "../../shared/scoring/explain.ts"
import { evaluateGates, type GateReport } from "../../shared/scoring/gates.ts"
import type { Artefact } from "../../shared/scoring/model/artefact.ts"
import type { Model } from "../../shared/scoring/model/model.ts"
import type { Services } from "../platform/services.ts"
import { unknownFeaturesOf } from "./serving.ts"

/** Older scores do not represent the current data. */
const EVIDENCE_MS = 14 * 86_400_000

/** Rows scored and explained to bound the latency of one; few enough for the CPU time of the smallest plan. */
const PROBE_ROWS = 16

/** Evaluates a checked model of a company (`*`: of all) by the artefact's metrics, the prediction log, and a latency probe. */
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
    unknownFeatures: unknownFeaturesOf(artefact),
    dataQuality: measured ?? (evidence.missing && completeness(artefact, evidence.missing)),
    p95Ms: evidence.p95Ms ?? (await boundOfOne(services, model)),
    isStrict: flags.isOn("STRICT_QUALITY_GATES", companyId),
  })
}

/** How complete the model's inputs are now, compared with its training data. */
function completeness({ features, training }: Artefact, missing: ReadonlyMap<string, number>): number {
  return completenessOf(
    features.map(({ name }, input) => [missing.get(name) ?? 1, training.reference[input]?.missing ?? 0] as const),
  )
}

/**
 * An upper bound of one prediction's milliseconds: the time of several in sequence plus a round trip to Postgres, because a
 * Worker's clock does not advance during computation. Null if the round trip was too slow for a useful bound.
 */
async function boundOfOne({ db, now }: Services, model: Model): Promise<number | null> {
  await pingDatabase(db)
  const startedMs = now().getTime()
  for (let row = 0; row < PROBE_ROWS; row++) explain(model, probeRow(model.artefact, row))
  await pingDatabase(db)
  const tookMs = now().getTime() - startedMs
  return tookMs < LATENCY_BOUND_MS ? tookMs : null
}

/** The gate's limit: a longer measurement includes the round trip, and does not show that the model is slow. */
const LATENCY_BOUND_MS = 200

/** A row of values from the training distribution, a different one for each `row`. */
const probeRow = ({ features, training }: Artefact, row: number): Float64Array =>
  Float64Array.from(features, (feature, input) => {
    if (feature.type === "category") return feature.levels.length === 0 ? Number.NaN : row % feature.levels.length
    const cuts = training.reference[input]?.cuts ?? []
    return cuts[(row + input) % Math.max(1, cuts.length)] ?? row
  })
