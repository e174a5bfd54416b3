/** What the messages of a case were composed from: the ledger with the times at which it was known, and the words of then. */
import { desc, eq, type SQL, sql } from "drizzle-orm"
import type { Fact, Instant } from "../../../shared/domain/facts.ts"
import { type Db, inCompany } from "../../client.ts"
import { companyBranding, messageTemplates } from "../../schema.ts"
import type { BrandingRow } from "../messaging/branding.ts"
import type { TemplateRow } from "../messaging/templates.ts"
import { factsFrom } from "../platform/fact-json.ts"
import { type PersonReading, personReadingFrom, personStreamStatements } from "./persons.ts"

export interface CaseMessages {
  /** The case's customer as of now, with the first page of the ledger. */
  readonly reading: PersonReading
  /** The facts that were known at a time, in ledger order; null: the ledger has more than one page. */
  readonly factsKnownAt: ((at: Instant) => readonly Fact[]) | null
  /** Versions of the company's templates, the newest first, and of its branding. */
  readonly templateVersions: readonly TemplateRow[]
  readonly brandings: readonly BrandingRow[]
}

/** Saved versions that are read; a message with an older one is composed without it. */
const VERSIONS_MAX = 300

/** What the messages of a case were composed from, in one round trip; null when the company has no such case. */
export async function readCaseMessages(
  db: Db,
  companyId: string,
  caseId: string,
  now: Date,
): Promise<CaseMessages | null> {
  const customerId: SQL = sql`(
    select customer_id from recovery_cases where company_id = ${companyId} and id = ${caseId}
  )`
  const [stream, person, approved, templates, branding, templateVersions, brandings] = await inCompany(db, companyId, [
    ...personStreamStatements(db, customerId, now),
    db
      .select()
      .from(messageTemplates)
      .where(eq(messageTemplates.companyId, companyId))
      .orderBy(desc(messageTemplates.createdAt))
      .limit(VERSIONS_MAX),
    db
      .select()
      .from(companyBranding)
      .where(eq(companyBranding.companyId, companyId))
      .orderBy(desc(companyBranding.version))
      .limit(VERSIONS_MAX),
  ])
  const reading = personReadingFrom(companyId, [stream, person, approved, templates, branding])
  const json = stream.rows[0]?.stream?.facts
  if (reading === null || json === undefined) return null
  const known = json.map((fact) => ({ fact, knownAtMs: Date.parse(fact.knownAt) }))
  const factsKnownAt = (at: Instant) =>
    factsFrom(known.flatMap(({ fact, knownAtMs }) => (knownAtMs <= Date.parse(at) ? [fact] : [])))
  return { reading, factsKnownAt: reading.next === null ? factsKnownAt : null, templateVersions, brandings }
}
