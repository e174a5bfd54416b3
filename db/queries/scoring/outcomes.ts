/** Outcomes of predictions: writing matured labels, and reading them. */
import { and, asc, desc, eq, gt, gte, inArray, isNotNull, lte, or, sql } from "drizzle-orm"
import { SHIFT } from "../../../shared/learning/monitoring/cusum.ts"
import { SHARED_COMPANY } from "../../../shared/scoring/stored-values.ts"
import { type Db, inCompany } from "../../client.ts"
import { modelLabelPositions, modelOutcomes, models, predictions } from "../../schema.ts"

/** A model whose predictions are labelled, with the position of the last labelled one. */
export interface LabelledModel {
  readonly sha256: string
  readonly state: "champion" | "shadow"
  readonly isShared: boolean
  readonly position: { readonly asOf: Date; readonly predictionId: string } | null
}

/** The models that score a company as champion or shadow: its own, and the shared ones. */
export async function labelledModels(db: Db, companyId: string): Promise<readonly LabelledModel[]> {
  const [rows] = await inCompany(db, companyId, [
    db
      .select({
        sha256: models.sha256,
        state: models.state,
        owner: models.companyId,
        asOf: modelLabelPositions.asOf,
        predictionId: modelLabelPositions.predictionId,
      })
      .from(models)
      .leftJoin(
        modelLabelPositions,
        and(eq(modelLabelPositions.companyId, companyId), eq(modelLabelPositions.modelSha256, models.sha256)),
      )
      .where(and(inArray(models.companyId, [companyId, SHARED_COMPANY]), inArray(models.state, ["champion", "shadow"])))
      .orderBy(asc(models.sha256)),
  ])
  return rows.map(({ sha256, state, owner, asOf, predictionId }) => ({
    sha256,
    state: state === "champion" ? "champion" : "shadow",
    isShared: owner === SHARED_COMPANY,
    position: asOf === null || predictionId === null ? null : { asOf, predictionId },
  }))
}

/** A prediction to label. */
export interface DuePrediction {
  readonly id: string
  readonly customerId: string
  readonly asOf: Date
  readonly isShadow: boolean
  readonly probability: number
  /** The time of this customer's last labelled prediction; the next one must be at least a horizon later. */
  readonly labelledAt: Date | null
}

/** The time range of due predictions, and how many to read. */
export interface DueWindow {
  readonly from: Date
  readonly until: Date
  readonly limit: number
}

/** The next predictions of a model in order of time, after its position. */
export async function duePredictions(
  db: Db,
  companyId: string,
  { sha256, position }: LabelledModel,
  { from, until, limit }: DueWindow,
): Promise<readonly DuePrediction[]> {
  const after =
    position === null
      ? gte(predictions.asOf, from)
      : or(
          gt(predictions.asOf, position.asOf),
          and(eq(predictions.asOf, position.asOf), gt(predictions.id, position.predictionId)),
        )
  const [rows] = await inCompany(db, companyId, [
    db
      .select({
        id: predictions.id,
        customerId: predictions.customerId,
        asOf: predictions.asOf,
        isShadow: predictions.isShadow,
        probability: predictions.probability,
        labelledAt: sql<string | null>`(
          select max(o.as_of) from model_outcomes o where o.company_id = ${companyId}
            and o.model_sha256 = ${sha256} and o.customer_id = ${predictions.customerId})`,
      })
      .from(predictions)
      .where(
        and(
          eq(predictions.companyId, companyId),
          eq(predictions.modelSha256, sha256),
          eq(predictions.source, "model"),
          after,
          gte(predictions.asOf, from),
          lte(predictions.asOf, until),
        ),
      )
      .orderBy(asc(predictions.asOf), asc(predictions.id))
      .limit(limit),
  ])
  return rows.map((row) => ({ ...row, labelledAt: row.labelledAt === null ? null : new Date(row.labelledAt) }))
}

/** A label. Null: the outcome is not defined, and the row is not counted. */
export interface Outcome {
  readonly prediction: DuePrediction
  readonly isChurned: boolean | null
}

/** Writes labels and the model's new position in one transaction; existing labels stay as they are. */
export async function writeOutcomes(
  db: Db,
  companyId: string,
  sha256: string,
  outcomes: readonly Outcome[],
  position: { readonly asOf: Date; readonly predictionId: string },
  now: Date,
): Promise<void> {
  const moved = db
    .insert(modelLabelPositions)
    .values({ companyId, modelSha256: sha256, ...position })
    .onConflictDoUpdate({ target: [modelLabelPositions.companyId, modelLabelPositions.modelSha256], set: position })
  if (outcomes.length === 0) {
    await inCompany(db, companyId, [moved])
    return
  }
  const rows = outcomes.map(({ prediction: { id, customerId, asOf, isShadow, probability }, isChurned }) => ({
    ...{ companyId, modelSha256: sha256, customerId, asOf, predictionId: id },
    ...{ isShadow, probability, isChurned, maturedAt: now },
  }))
  await inCompany(db, companyId, [db.insert(modelOutcomes).values(rows).onConflictDoNothing(), moved])
}

/** The statement that sums a model's labels by week (seven days each, from 1970-01-01), oldest first; unsent. */
export const selectWeeks = (db: Db, companyId: string, sha256: string, from: Date, until: Date) =>
  db
    .select({
      week: WEEK,
      rows: sql<number>`count(*)::int`,
      events: sql<number>`(count(*) filter (where ${modelOutcomes.isChurned}))::int`,
      expected: sql<number>`sum(${modelOutcomes.probability})`,
      squares: sql<number>`sum(${modelOutcomes.probability} * ${modelOutcomes.probability})`,
      logUp: sql<number>`sum(ln(1 + ${modelOutcomes.probability} * ${Math.expm1(SHIFT)}::float8))`,
      logDown: sql<number>`sum(ln(1 + ${modelOutcomes.probability} * ${Math.expm1(-SHIFT)}::float8))`,
    })
    .from(modelOutcomes)
    .where(and(...matured(companyId, sha256, from, until)))
    .groupBy(sql`1`)
    .orderBy(sql`1`)

const WEEK = sql<number>`floor(extract(epoch from ${modelOutcomes.asOf}) / 604800)::int`

const matured = (companyId: string, sha256: string, from: Date, until: Date) => [
  eq(modelOutcomes.companyId, companyId),
  eq(modelOutcomes.modelSha256, sha256),
  isNotNull(modelOutcomes.isChurned),
  gte(modelOutcomes.asOf, from),
  lte(modelOutcomes.asOf, until),
]

/** The statement for a model's latest labels, newest first; unsent. */
export const selectRecent = (db: Db, companyId: string, sha256: string, from: Date, until: Date, limit: number) =>
  db
    .select({ probability: modelOutcomes.probability, isChurned: sql<boolean>`${modelOutcomes.isChurned}` })
    .from(modelOutcomes)
    .where(and(...matured(companyId, sha256, from, until)))
    .orderBy(desc(modelOutcomes.asOf), asc(modelOutcomes.customerId))
    .limit(limit)

/** A label with the model's inputs. */
export interface LabelledVector {
  readonly customerId: string
  readonly asOf: Date
  readonly probability: number
  readonly isChurned: boolean
  readonly vector: Readonly<Record<string, number | string | null>>
}

/**
 * Labels with the inputs of their predictions, newest first: of one model, or (null) of every model that served. At most
 * `limit`, after the first `offset`.
 */
export async function labelledVectors(
  db: Db,
  companyId: string,
  sha256: string | null,
  { from, limit, offset = 0 }: { readonly from: Date; readonly limit: number; readonly offset?: number },
): Promise<readonly LabelledVector[]> {
  const [rows] = await inCompany(db, companyId, [
    db
      .select({
        customerId: modelOutcomes.customerId,
        asOf: modelOutcomes.asOf,
        probability: modelOutcomes.probability,
        isChurned: sql<boolean>`${modelOutcomes.isChurned}`,
        vector: predictions.vector,
      })
      .from(modelOutcomes)
      .innerJoin(
        predictions,
        and(
          eq(predictions.companyId, companyId),
          eq(predictions.id, modelOutcomes.predictionId),
          eq(predictions.asOf, modelOutcomes.asOf),
        ),
      )
      .where(
        and(
          eq(modelOutcomes.companyId, companyId),
          sha256 === null ? eq(modelOutcomes.isShadow, false) : eq(modelOutcomes.modelSha256, sha256),
          isNotNull(modelOutcomes.isChurned),
          gte(modelOutcomes.asOf, from),
        ),
      )
      .orderBy(desc(modelOutcomes.asOf), asc(modelOutcomes.customerId), asc(modelOutcomes.modelSha256))
      .limit(limit)
      .offset(offset),
  ])
  return rows
}

/** A label with the probabilities of a shadow and of the model that served at the same moment. */
export interface LabelledPair {
  readonly customer: string
  readonly isChurned: boolean
  readonly champion: number
  readonly challenger: number
}

/** Labels of a shadow paired with what served at the same moment, newest first, at most `limit`. */
export async function labelledPairs(
  db: Db,
  companyId: string,
  challenger: string,
  limit: number,
): Promise<readonly LabelledPair[]> {
  const [result] = await inCompany(db, companyId, [
    db.execute<{ customer: string; is_churned: boolean; champion: number; challenger: number }>(sql`
      select o.customer_id as customer, o.is_churned, o.probability as challenger, served.probability as champion
      from model_outcomes o
      cross join lateral (
        select p.probability from predictions p
        where p.company_id = o.company_id and p.customer_id = o.customer_id and p.as_of = o.as_of
          and p.source = 'model' and not p.is_shadow
        order by p.id limit 1
      ) as served
      where o.company_id = ${companyId} and o.model_sha256 = ${challenger} and o.is_shadow and o.is_churned is not null
      order by o.as_of desc, o.customer_id limit ${limit}`),
  ])
  return result.rows.map(({ is_churned: isChurned, ...row }) => ({ ...row, isChurned }))
}
