/** Claims nudges: each by one worker at a time, until its lease ends. */
import { and, eq, sql } from "drizzle-orm"
import { type Db, inCompany } from "../../client.ts"
import { nudges } from "../../schema.ts"
import { brandingFrom, brandingStatement } from "../messaging/branding.ts"
import { approvedFrom, approvedStatement } from "../messaging/brands.ts"
import { templatesFrom, templatesStatement } from "../messaging/templates.ts"
import { textArray } from "../platform/companies.ts"
import { arrayParameter as array } from "../platform/parameters.ts"
import { messagesSince, type PersonJson, type PersonReading, personFrom } from "./persons.ts"
import { readStreamJson, type StreamJson } from "./stream.ts"

/** Who holds a claim, and until when. */
export interface Lease {
  readonly owner: string
  readonly until: Date
}

/** A claimed nudge. */
export interface ClaimedNudge {
  readonly companyId: string
  readonly id: string
}

/**
 * Claims nudges due by `dueBefore`, of these companies or, with null, of all; each by at most one caller. Round-robin by
 * company, each company's oldest first, so that a large company does not delay the others.
 */
export async function claimDueNudges(
  db: Db,
  {
    now,
    dueBefore,
    lease,
    limit,
    companies,
  }: {
    readonly now: Date
    readonly dueBefore: Date
    readonly lease: Lease
    readonly limit: number
    readonly companies: readonly string[] | null
  },
): Promise<readonly ClaimedNudge[]> {
  const result = await db.execute<{ company_id: string; id: string }>(
    sql`select company_id, id from claim_due_nudges(
      ${now.toISOString()}, ${dueBefore.toISOString()}, ${lease.owner}, ${lease.until.toISOString()}, ${limit},
      ${textArray(companies)}
    )`,
  )
  return result.rows.map((row) => ({ companyId: row.company_id, id: row.id }))
}

/** A nudge that falls due soon. */
export interface UpcomingNudge extends ClaimedNudge {
  readonly dueAt: Date
}

/** Unclaimed nudges due after `now` and by `until`, round-robin by company, each company's earliest first. */
export async function upcomingNudges(
  db: Db,
  {
    now,
    until,
    limit,
    companies,
  }: {
    readonly now: Date
    readonly until: Date
    readonly limit: number
    readonly companies: readonly string[] | null
  },
): Promise<readonly UpcomingNudge[]> {
  const result = await db.execute<{ company_id: string; id: string; due_at: string | Date }>(
    sql`select company_id, id, due_at from upcoming_nudges(
      ${now.toISOString()}, ${until.toISOString()}, ${limit}, ${textArray(companies)}
    )`,
  )
  return result.rows.map((row) => ({ companyId: row.company_id, id: row.id, dueAt: new Date(row.due_at) }))
}

/**
 * A nudge that was asked for: the customer's stream and person when it is claimed; `busy`: another writer has locked it, so it
 * must be claimed alone; null: it is not due, already finished, or claimed by another worker.
 */
export type ClaimResult = PersonReading | "busy" | null

/**
 * Claims due nudges of one company, each for its own owner, and reads their customers: one round trip. `dispatcher` is the
 * owner of the leases under which they were published, or null. The results are in the order of the nudges. A nudge that is
 * claimed alone waits for other writers, and is never `busy`.
 */
export async function claimNudges(
  db: Db,
  companyId: string,
  wanted: readonly { readonly nudgeId: string; readonly owner: string }[],
  { dispatcher, until, now }: { readonly dispatcher: string | null; readonly until: Date; readonly now: Date },
): Promise<readonly ClaimResult[]> {
  const [result, approved, templates, branding] = await inCompany(db, companyId, [
    db.execute<{ claimed: ClaimedJson }>(
      sql`select claim_nudges(
        ${array(wanted.map(({ nudgeId }) => nudgeId))}, ${dispatcher}, ${array(wanted.map(({ owner }) => owner))},
        ${now.toISOString()}, ${until.toISOString()}, ${messagesSince(now)}
      ) as claimed`,
    ),
    approvedStatement(db),
    templatesStatement(db),
    brandingStatement(db),
  ])
  const claimed = result.rows[0]?.claimed
  if (!claimed) throw new Error("claim_nudges returned nothing")
  const company = {
    approvedBrands: approvedFrom(approved),
    templates: templatesFrom(templates),
    branding: brandingFrom(branding),
  }
  const readings = new Map(
    claimed.streams.map((json, place) => [
      json.customer.id,
      { ...readStreamJson(companyId, json), person: personFrom(claimed.persons[place]), ...company },
    ]),
  )
  const customers = new Map(claimed.nudges.map(({ id, customerId }) => [id, customerId]))
  return wanted.map(({ nudgeId }) => {
    const customerId = customers.get(nudgeId)
    if (customerId !== undefined) return readings.get(customerId) ?? null
    return claimed.busy.includes(nudgeId) ? "busy" : null
  })
}

interface ClaimedJson {
  readonly nudges: readonly { readonly id: string; readonly customerId: string }[]
  readonly busy: readonly string[]
  /** Of each customer once; the persons are in the same order. */
  readonly streams: readonly StreamJson[]
  readonly persons: readonly PersonJson[]
}

/** Releases an owner's leases in a company, so that others need not wait for their end. */
export async function releaseLeases(db: Db, companyId: string, owner: string): Promise<void> {
  await inCompany(db, companyId, [
    db
      .update(nudges)
      .set({ leaseOwner: null, leaseUntil: null })
      .where(and(eq(nudges.companyId, companyId), eq(nudges.leaseOwner, owner))),
  ])
}
