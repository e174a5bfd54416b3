/** Claims nudges: each by one worker at a time, until its lease ends. */
import { and, eq, sql } from "drizzle-orm"
import { type Db, inCompany } from "../../client.ts"
import { nudges } from "../../schema.ts"
import { brandingFrom, brandingStatement } from "../messaging/branding.ts"
import { approvedFrom, approvedStatement } from "../messaging/brands.ts"
import { templatesFrom, templatesStatement } from "../messaging/templates.ts"
import { textArray } from "../platform/companies.ts"
import { readWhole } from "./ledger-pages.ts"
import { type PersonReading, type PersonStream, personFrom, personStatement, startPersonStream } from "./persons.ts"
import { type StreamRow, streamFrom } from "./stream.ts"

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
 * Claims one due nudge and reads its customer's stream and person. `dispatcher` is the owner of the lease that published it,
 * or null. Null: it is not due, already finished, or claimed by another worker.
 */
export async function claimNudge(
  db: Db,
  companyId: string,
  nudgeId: string,
  { dispatcher, lease, now }: { readonly dispatcher: string | null; readonly lease: Lease; readonly now: Date },
): Promise<PersonStream | null> {
  const [result, person, approved, templates, branding] = await inCompany(db, companyId, [
    db.execute<StreamRow>(
      sql`select claim_nudge(
        ${nudgeId}, ${dispatcher}, ${lease.owner}, ${now.toISOString()}, ${lease.until.toISOString()}
      ) as stream`,
    ),
    personStatement(
      db,
      sql`(select customer_id from nudges where company_id = app_company() and id = ${nudgeId})`,
      now,
    ),
    approvedStatement(db),
    templatesStatement(db),
    brandingStatement(db),
  ])
  const reading = streamFrom(companyId, result)
  if (reading === null) return null
  const company = {
    approvedBrands: approvedFrom(approved),
    templates: templatesFrom(templates),
    branding: brandingFrom(branding),
  }
  const claimed = { ...reading, person: personFrom(person), ...company }
  return readWhole<PersonReading>(db, () => startPersonStream(db, companyId, reading.customer.id, now), claimed)
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
