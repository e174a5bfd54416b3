/** Companies, as an operator sets them up. They are written by functions of the database only. */
import { eq, sql } from "drizzle-orm"
import type { SharedKind } from "../../../shared/credentials.ts"
import type { ProviderName } from "../../../shared/domain/facts.ts"
import type { StoredBranding } from "../../../shared/domain/messaging/branding.ts"
import { type Db, inCompany } from "../../client.ts"
import { onboardingSteps } from "../../schema.ts"
import { brandingFrom, brandingStatement } from "../messaging/branding.ts"
import { type Page, type PageRequest, pageOf } from "../platform/page.ts"

/** An account of a company at a provider. */
export interface Account {
  readonly provider: ProviderName
  readonly accountId: string
}

export interface Company {
  readonly id: string
  readonly name: string
  readonly createdAt: Date
  readonly closedAt: Date | null
  readonly closedBy: string | null
  readonly accounts: readonly Account[]
  /** The kinds for which it may use the deployment's credentials where it has none of its own. */
  readonly sharedKinds: readonly SharedKind[]
}

interface CompanyRow extends Record<string, unknown> {
  readonly id: string
  readonly name: string
  readonly created_at: string
  readonly closed_at: string | null
  readonly closed_by: string | null
  readonly accounts: readonly Account[]
  readonly shared_kinds: readonly SharedKind[]
}

/** A page of the companies, the newest first. */
export async function listCompanies(db: Db, page: PageRequest): Promise<Page<Company>> {
  const { after, limit } = page
  const { rows } = await db.execute<CompanyRow>(
    sql`select * from list_companies(null, ${after?.at.toISOString() ?? null}, ${after?.id ?? null}, ${limit + 1})`,
  )
  return pageOf(rows.map(companyOfRow), page, ({ createdAt, id }) => ({ at: createdAt, id }))
}

/** One company; null when there is none with that id. */
export async function readCompany(db: Db, id: string): Promise<Company | null> {
  const { rows } = await db.execute<CompanyRow>(sql`select * from list_companies(${id}, null, null, 1)`)
  return rows[0] ? companyOfRow(rows[0]) : null
}

const companyOfRow = (row: CompanyRow): Company => ({
  id: row.id,
  name: row.name,
  createdAt: new Date(row.created_at),
  closedAt: row.closed_at === null ? null : new Date(row.closed_at),
  closedBy: row.closed_by,
  accounts: row.accounts,
  sharedKinds: row.shared_kinds,
})

interface Sharing {
  /** Null: all for a new company, as they are for another. */
  readonly sharedKinds: readonly SharedKind[] | null
}

const sharedJson = (kinds: readonly SharedKind[] | null) => (kinds === null ? null : JSON.stringify(kinds))

/** Adds a company with its accounts; a `conflict` (db/client.ts) when the id or an account is taken. */
export async function addCompany(
  db: Db,
  { id, name, accounts, sharedKinds }: Pick<Company, "id" | "name" | "accounts"> & Sharing,
  now: Date,
): Promise<void> {
  await db.execute(
    sql`select add_company(${id}, ${name}, ${JSON.stringify(accounts)}, ${sharedJson(sharedKinds)}, ${now.toISOString()})`,
  )
}

/** Changes a company; null leaves something as it is. False: no such company; a `conflict` when an account is taken. */
export async function changeCompany(
  db: Db,
  id: string,
  change: Sharing & {
    readonly name: string | null
    readonly added: readonly Account[]
    readonly removed: readonly Account[]
  },
): Promise<boolean> {
  const { name, added, removed, sharedKinds } = change
  const { rows } = await db.execute<{ found: boolean }>(
    sql`select change_company(${id}, ${name}, ${JSON.stringify(added)}, ${JSON.stringify(removed)},
      ${sharedJson(sharedKinds)}) as found`,
  )
  return rows[0]?.found === true
}

/** Closes a company, or with null opens it. Returns all closed companies; null when there is no such company. */
export async function setCompanyClosed(
  db: Db,
  id: string,
  closedAt: Date | null,
  by: string,
): Promise<readonly string[] | null> {
  const { rows } = await db.execute<{ closed: readonly string[] | null }>(
    sql`select set_company_closed(${id}, ${closedAt?.toISOString() ?? null}, ${by}) as closed`,
  )
  return rows[0]?.closed ?? null
}

/** A provider with fewer deliveries than one in so many may be missing in the checklist; the time to read it stays bounded. */
const DELIVERIES_READ = 2_000

/** What a company's checklist is made from. */
export interface Onboarding {
  /** The first verified delivery of each provider, among the company's first and last ones. */
  readonly firstDeliveries: readonly { readonly provider: ProviderName; readonly at: Date }[]
  readonly steps: readonly { readonly step: string; readonly at: Date; readonly who: string }[]
  readonly branding: StoredBranding
}

/** Reads what a company has set up; one round trip. */
export async function readOnboarding(db: Db, companyId: string): Promise<Onboarding> {
  const [first, steps, branding] = await inCompany(db, companyId, [
    db.execute<{ provider: ProviderName; at: string }>(sql`
      select e.provider, min(e.received_at) as at from (
        (select provider, received_at from webhook_events
          where company_id = ${companyId} and received_at < 'infinity' order by received_at limit ${DELIVERIES_READ})
        union all
        (select provider, received_at from webhook_events
          where company_id = ${companyId} and received_at < 'infinity' order by received_at desc limit ${DELIVERIES_READ})
      ) as e group by e.provider order by e.provider`),
    db.select().from(onboardingSteps).where(eq(onboardingSteps.companyId, companyId)),
    brandingStatement(db),
  ])
  return {
    firstDeliveries: first.rows.map(({ provider, at }) => ({ provider, at: new Date(at) })),
    steps: steps.map(({ step, at, who }) => ({ step, at, who })),
    branding: brandingFrom(branding),
  }
}

/** Records that a step of the set-up is done; the first time counts. */
export async function recordOnboardingStep(
  db: Db,
  done: { readonly companyId: string; readonly step: string; readonly at: Date; readonly who: string },
): Promise<void> {
  await inCompany(db, done.companyId, [db.insert(onboardingSteps).values(done).onConflictDoNothing()])
}
