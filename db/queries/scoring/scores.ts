/** Scores of customers: the latest of each, and the log of all that was said. */
import { and, desc, eq, inArray, sql } from "drizzle-orm"
import type { SubscriptionState } from "../../../shared/domain/state.ts"
import { type Db, inCompany } from "../../client.ts"
import { customerScores, predictions, rescorePasses } from "../../schema/scoring.ts"
import { companySettings } from "../../schema.ts"
import { textArray } from "../platform/companies.ts"
import { type Page, type PageRequest, pageOf } from "../platform/page.ts"
import { type ServingRow, servingStatement } from "./models.ts"

/** The latest score of a customer. */
export type ScoreRow = typeof customerScores.$inferSelect
export type NewPrediction = typeof predictions.$inferInsert
export type PredictionRow = typeof predictions.$inferSelect

/** A customer who is to be scored, as they were asked for. */
export interface ScoreTarget {
  /** How the caller called them: our id, or the provider's. */
  readonly name: string
  readonly customerId: string
  /** When the last fact was folded. */
  readonly updatedAt: Date
  readonly subscriptions: readonly SubscriptionState[]
  readonly last: ScoreRow | null
}

/**
 * Who these names mean, with their latest scores, and what the company is scored by: one round trip. Who is unknown is left
 * out. Our id comes before a provider's that happens to be the same.
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

/** A row of `customer_scores` as `to_jsonb` writes it; `last` of lists of customers too. */
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

/** The row behind its JSON. */
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

/** How many facts of a customer were known at the moment of a score. */
export interface KnownFactCount {
  readonly customerId: string
  readonly count: number
}

/**
 * Writes what was said at one moment into the log and, where it is the latest, beside the customers: one round trip, all or
 * nothing. A score that is older than the one that is there stays in the log only. Throws (`databaseFailure(error) ===
 * "stale_version"`) when more was known at that moment than was read: then the ledgers are to be read again.
 */
export async function saveScores(
  db: Db,
  companyId: string,
  known: { readonly asOf: Date; readonly counts: readonly KnownFactCount[] },
  said: readonly NewPrediction[],
  scores: readonly ScoreRow[],
): Promise<void> {
  if (said.length === 0) return
  await inCompany(db, companyId, [
    db.execute(sql`select assert_knowledge(
      ${textArray(known.counts.map(({ customerId }) => customerId))},
      array(select n::integer from jsonb_array_elements_text(${JSON.stringify(known.counts.map(({ count }) => count))}::jsonb) as n),
      ${known.asOf.toISOString()}::timestamptz)`),
    db.insert(predictions).values([...said]),
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

/** Notes of customers that they have left: their last score holds no more. */
export async function invalidateScores(db: Db, companyId: string, customerIds: readonly string[]): Promise<void> {
  if (customerIds.length === 0) return
  await inCompany(db, companyId, [
    db
      .update(customerScores)
      .set({ notScored: "no_paid_access" })
      .where(and(eq(customerScores.companyId, companyId), inArray(customerScores.customerId, [...customerIds]))),
  ])
}

/** A page of what was said of a customer, shadows left out, newest first. The customer is named by our id. */
export async function listPredictions(
  db: Db,
  companyId: string,
  customerId: string,
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

/** Rows of the log that gates look at; a night of a middle-sized company. */
const EVIDENCE_ROWS = 500
/** Fewer rows have no 95th percentile. */
const LATENCY_ROWS_MIN = 20

/**
 * What the log says for the gates: the 95th percentile of how long this model took, in milliseconds (null: too few rows),
 * and of the company's latest inputs the share that is missing by name (null: nothing was scored lately).
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

/** Where a night's pass over all customers stands. */
export type RescorePass = typeof rescorePasses.$inferSelect

/** The pass of this night, begun if nobody has begun it. */
export async function findOrStartPass(db: Db, night: string, now: Date): Promise<RescorePass> {
  const [, rows] = await db.batch([
    db.insert(rescorePasses).values({ night, startedAt: now, updatedAt: now }).onConflictDoNothing(),
    db.select().from(rescorePasses).where(eq(rescorePasses.night, night)),
  ])
  const [pass] = rows
  if (pass === undefined) throw new Error("a pass that was begun is gone")
  return pass
}

/** Customers of several companies, in the order of a pass. */
export interface CustomersToScore {
  readonly companyId: string
  readonly customerId: string
}

/** The next customers of a pass, of these companies (null: of all). */
export async function customersToScore(
  db: Db,
  pass: RescorePass,
  limit: number,
  companies: readonly string[] | null,
): Promise<readonly CustomersToScore[]> {
  const result = await db.execute<{ companyId: string; customerId: string }>(sql`
    select company_id as "companyId", customer_id as "customerId"
    from customers_to_score(${pass.afterCompany}, ${pass.afterCustomer}, ${limit}, ${textArray(companies)})`)
  return result.rows
}

/**
 * Moves a pass on, from where it was read; false when somebody else has moved it. `counts` are added; `isFinished` ends it.
 */
export async function advancePass(
  db: Db,
  pass: RescorePass,
  to: {
    readonly after: CustomersToScore | null
    readonly scored: number
    readonly notScored: number
    readonly failed: number
    readonly isFinished: boolean
    readonly now: Date
  },
): Promise<boolean> {
  const moved = await db
    .update(rescorePasses)
    .set({
      ...(to.after !== null && { afterCompany: to.after.companyId, afterCustomer: to.after.customerId }),
      scored: sql`${rescorePasses.scored} + ${to.scored}`,
      notScored: sql`${rescorePasses.notScored} + ${to.notScored}`,
      failed: sql`${rescorePasses.failed} + ${to.failed}`,
      updatedAt: to.now,
      ...(to.isFinished && { finishedAt: to.now }),
    })
    .where(
      and(
        eq(rescorePasses.night, pass.night),
        eq(rescorePasses.afterCompany, pass.afterCompany),
        eq(rescorePasses.afterCustomer, pass.afterCustomer),
      ),
    )
    .returning({ night: rescorePasses.night })
  return moved.length > 0
}
