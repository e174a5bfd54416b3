/**
 * Scores of customers: the latest one of each, and the log of all predictions. One file, because both are written in one
 * transaction and share their types.
 */
import { and, desc, eq, inArray, type SQL, sql } from "drizzle-orm"
import type { SubscriptionState } from "../../../shared/domain/state.ts"
import { type Db, inCompany } from "../../client.ts"
import { customerScores, predictions } from "../../schema/scoring.ts"
import { companySettings } from "../../schema.ts"
import { textArray } from "../platform/companies.ts"
import { type Page, type PageRequest, pageOf } from "../platform/page.ts"
import { type ServingRow, servingStatement } from "./serving.ts"

/** The latest score of a customer. */
export type ScoreRow = typeof customerScores.$inferSelect
export type NewPrediction = typeof predictions.$inferInsert
export type PredictionRow = typeof predictions.$inferSelect

/** A customer to score. */
export interface ScoreTarget {
  /** The id that the caller used: ours or the provider's. */
  readonly name: string
  readonly customerId: string
  /** When the last fact was folded. */
  readonly updatedAt: Date
  readonly subscriptions: readonly SubscriptionState[]
  readonly last: ScoreRow | null
}

/**
 * The customers with these ids (ours or the provider's), their latest scores, and the serving models, in one round trip.
 * Unknown customers are left out. Our id takes precedence over an equal id of the provider.
 */
export async function readForScoring(
  db: Db,
  companyId: string,
  names: readonly string[],
  pin: string | null,
): Promise<{
  readonly customers: ReadonlyMap<string, ScoreTarget>
  readonly serving: readonly ServingRow[]
  /** The company's settings as stored. */
  readonly settings: unknown
}> {
  const [serving, found, [stored]] = await inCompany(db, companyId, [
    servingStatement(db, companyId, pin),
    db.execute<FoundRow>(sql`
      select distinct on (n.name) n.name, c.id, c.updated_at, c.state -> 'subscriptions' as subscriptions, case when s.customer_id is not null then to_jsonb(s) end as last
      from jsonb_array_elements_text(${JSON.stringify([...new Set(names)])}::jsonb) as n (name)
      join customers c on c.company_id = app_company() and (c.id = n.name or c.provider_customer_id = n.name)
      left join customer_scores s on s.company_id = c.company_id and s.customer_id = c.id
      order by n.name, c.id = n.name desc, c.id`),
    db.select().from(companySettings).where(eq(companySettings.companyId, companyId)),
  ])
  const customers = new Map(
    found.rows.map((row): [string, ScoreTarget] => [
      row.name,
      {
        name: row.name,
        customerId: row.id,
        updatedAt: new Date(row.updated_at),
        subscriptions: Object.values(row.subscriptions ?? {}),
        last: row.last && scoreFrom(row.last),
      },
    ]),
  )
  return { customers, serving: serving.rows, settings: stored?.settings ?? null }
}

type FoundRow = {
  readonly name: string
  readonly id: string
  readonly updated_at: string
  readonly subscriptions: Readonly<Record<string, SubscriptionState>> | null
  readonly last: ScoreJson | null
}

/** A row of `customer_scores` as `to_jsonb` writes it, also for lists of customers. */
export interface ScoreJson {
  readonly company_id: string
  readonly customer_id: string
  readonly prediction_id: string
  readonly as_of: string
  readonly source: ScoreRow["source"]
  readonly model_sha256: string | null
  readonly model_version: string
  readonly probability: number
  readonly low: number
  readonly high: number
  readonly log_odds: number
  readonly base_rate: number
  readonly risk_level: ScoreRow["riskLevel"]
  readonly coverage: number
  readonly confidence: number
  readonly not_scored: ScoreRow["notScored"]
  readonly parts: ScoreRow["parts"]
  readonly change: ScoreRow["change"]
}

/** The row from its JSON. */
export const scoreFrom = (json: ScoreJson): ScoreRow => ({
  companyId: json.company_id,
  customerId: json.customer_id,
  predictionId: json.prediction_id,
  asOf: new Date(json.as_of),
  source: json.source,
  modelSha256: json.model_sha256,
  modelVersion: json.model_version,
  probability: json.probability,
  low: json.low,
  high: json.high,
  logOdds: json.log_odds,
  baseRate: json.base_rate,
  riskLevel: json.risk_level,
  coverage: json.coverage,
  confidence: json.confidence,
  notScored: json.not_scored,
  parts: json.parts,
  change: json.change,
})

/** The number of a customer's facts known at the moment of a score. */
export interface KnownFactCount {
  readonly customerId: string
  readonly count: number
}

/**
 * Writes predictions of one moment into the log, and the latest score of each customer, in one transaction and one round
 * trip. A score older than the stored one is only logged. Throws (`databaseFailure(error) === "stale_version"`) if more facts
 * were known at that moment than were read; then the ledgers must be read again.
 */
export async function saveScores(
  db: Db,
  companyId: string,
  known: { readonly asOf: Date; readonly counts: readonly KnownFactCount[] },
  logRows: readonly NewPrediction[],
  scores: readonly ScoreRow[],
): Promise<void> {
  if (logRows.length === 0) return
  await inCompany(db, companyId, [
    db.execute(sql`select assert_knowledge(
      ${textArray(known.counts.map(({ customerId }) => customerId))},
      array(select n::integer from jsonb_array_elements_text(${JSON.stringify(known.counts.map(({ count }) => count))}::jsonb) as n),
      ${known.asOf.toISOString()}::timestamptz)`),
    db.insert(predictions).values([...logRows]),
    ...(scores.length === 0
      ? []
      : [
          db
            .insert(customerScores)
            .values([...scores])
            .onConflictDoUpdate({
              target: [customerScores.companyId, customerScores.customerId],
              set: {
                predictionId: sql`excluded.prediction_id`,
                asOf: sql`excluded.as_of`,
                source: sql`excluded.source`,
                modelSha256: sql`excluded.model_sha256`,
                modelVersion: sql`excluded.model_version`,
                probability: sql`excluded.probability`,
                low: sql`excluded.low`,
                high: sql`excluded.high`,
                logOdds: sql`excluded.log_odds`,
                baseRate: sql`excluded.base_rate`,
                riskLevel: sql`excluded.risk_level`,
                coverage: sql`excluded.coverage`,
                confidence: sql`excluded.confidence`,
                notScored: sql`excluded.not_scored`,
                parts: sql`excluded.parts`,
                change: sql`excluded.change`,
              },
              setWhere: sql`${customerScores.asOf} <= excluded.as_of`,
            }),
        ]),
  ])
}

/** Marks the scores of customers without paid access as not valid any more. */
export async function invalidateScores(db: Db, companyId: string, customerIds: readonly string[]): Promise<void> {
  if (customerIds.length === 0) return
  await inCompany(db, companyId, [
    db
      .update(customerScores)
      .set({ notScored: "no_paid_access" })
      .where(and(eq(customerScores.companyId, companyId), inArray(customerScores.customerId, [...customerIds]))),
  ])
}

/** A page of a customer's predictions, without shadows, newest first. `customerId` is our id, or `customerNamed`. */
export async function listPredictions(
  db: Db,
  companyId: string,
  customerId: string | SQL,
  page: PageRequest,
): Promise<Page<PredictionRow>> {
  const { after } = page
  const [rows] = await inCompany(db, companyId, [
    db
      .select()
      .from(predictions)
      .where(
        and(
          eq(predictions.companyId, companyId),
          eq(predictions.customerId, customerId),
          eq(predictions.isShadow, false),
          after === null
            ? undefined
            : sql`(${predictions.asOf}, ${predictions.id}) < (${after.at.toISOString()}::timestamptz, ${after.id}::uuid)`,
        ),
      )
      .orderBy(desc(predictions.asOf), desc(predictions.id))
      .limit(page.limit + 1),
  ])
  return pageOf(rows, page, ({ asOf, id }) => ({ at: asOf, id }))
}

/** Log rows that gates read; one night of a medium-sized company. */
const EVIDENCE_ROWS = 500
/** Fewer rows give no meaningful 95th percentile. */
const LATENCY_ROWS_MIN = 20

/**
 * Evidence for the gates from the log: the 95th percentile of this model's latency in milliseconds (null: too few rows), and
 * the missing share of each of the company's latest inputs (null: no recent scores).
 */
export async function readGateEvidence(
  db: Db,
  companyId: string,
  sha256: string,
  since: Date,
): Promise<{ readonly p95Ms: number | null; readonly missing: ReadonlyMap<string, number> | null }> {
  const from = since.toISOString()
  const [latency, missing] = await inCompany(db, companyId, [
    db.execute<{ p95: number | null }>(sql`
      select case when count(*) >= ${LATENCY_ROWS_MIN} then percentile_disc(0.95) within group (order by took_ms) end as p95
      from (select took_ms from predictions where company_id = ${companyId} and model_sha256 = ${sha256}
        and as_of >= ${from}::timestamptz order by as_of desc limit ${EVIDENCE_ROWS}) as p`),
    db.execute<{ name: string; missing: number }>(sql`
      select v.key as name, avg((v.value = 'null'::jsonb)::integer)::double precision as missing
      from (select vector from predictions where company_id = ${companyId} and not is_shadow
        and as_of >= ${from}::timestamptz order by as_of desc limit ${EVIDENCE_ROWS}) as p
      cross join lateral jsonb_each(p.vector) as v group by v.key`),
  ])
  return {
    p95Ms: latency.rows[0]?.p95 ?? null,
    missing: missing.rows.length === 0 ? null : new Map(missing.rows.map((row) => [row.name, row.missing])),
  }
}
