/** Looks up, for a page of a provider's list, which events, facts and customers are recorded already. */
import { sql } from "drizzle-orm"
import type { FactKind, ProviderName } from "../../../shared/domain/facts.ts"
import type { CustomerState } from "../../../shared/domain/state.ts"
import { type Db, inCompany } from "../../client.ts"
import type { Target } from "./reconciliation.ts"

/** An event as its provider names it. */
export interface EventIdentity {
  readonly account: string | null
  readonly providerEventId: string
}

/** The key of an event in the result of `knownEvents`. */
export const eventKey = ({ account, providerEventId }: EventIdentity): string => `${account ?? ""}|${providerEventId}`

/** Which of these events were ever recorded, by `eventKey`. */
export async function knownEvents(
  db: Db,
  companyId: string,
  provider: ProviderName,
  events: readonly EventIdentity[],
): Promise<ReadonlySet<string>> {
  if (events.length === 0) return new Set()
  const wanted = JSON.stringify(
    events.map(({ account, providerEventId }) => ({ account: account ?? "", id: providerEventId })),
  )
  const [result] = await inCompany(db, companyId, [
    db.execute<{ account: string; id: string }>(sql`
      select k.account, k.provider_event_id as id
      from jsonb_to_recordset(${wanted}::jsonb) as w (account text, id text)
      join webhook_event_keys k on k.company_id = app_company() and k.provider = ${provider}
        and k.account = w.account and k.provider_event_id = w.id`),
  ])
  return new Set(result.rows.map(({ account, id }) => eventKey({ account, providerEventId: id })))
}

/** A fact to look for in the ledger: its kind, and the part of its body that identifies it. */
export interface FactQuery {
  /** The provider's id of the customer; null: found by the link of `object`. */
  readonly customer: string | null
  readonly object: string | null
  readonly kind: FactKind
  readonly key: Readonly<Record<string, string | number | null>>
}

/** For each fact, whether the ledger has it. */
export async function knownFacts(
  db: Db,
  companyId: string,
  provider: ProviderName,
  queries: readonly FactQuery[],
): Promise<readonly boolean[]> {
  if (queries.length === 0) return []
  const json = JSON.stringify(queries.map((query, index) => ({ ...query, index })))
  const [result] = await inCompany(db, companyId, [
    db.execute<{ index: number }>(sql`
      select q.index
      from jsonb_to_recordset(${json}::jsonb) as q (index integer, customer text, object text, kind text, key jsonb)
      left join object_links l on l.company_id = app_company() and l.provider = ${provider} and l.object_id = q.object
      where exists (
        select from facts f
        where f.company_id = app_company() and f.provider = ${provider}
          and f.subject in (coalesce(q.customer, l.root_id, q.object), q.object)
          and f.kind = q.kind and f.body @> q.key
      )`),
  ])
  const found = new Set(result.rows.map(({ index }) => index))
  return queries.map((_, index) => found.has(index))
}

export interface KnownCustomer {
  readonly version: number
  readonly state: CustomerState | null
}

/** The states of these customers, by the provider's id; unknown customers are absent. */
export async function knownCustomers(
  db: Db,
  companyId: string,
  provider: ProviderName,
  customers: readonly string[],
): Promise<ReadonlyMap<string, KnownCustomer>> {
  if (customers.length === 0) return new Map()
  const ids = JSON.stringify(customers.map((customer) => `${provider}_${customer}`))
  const [result] = await inCompany(db, companyId, [
    db.execute<{ id: string; version: number; state: CustomerState | null }>(sql`
      select c.provider_customer_id as id, c.version, c.state
      from jsonb_array_elements_text(${ids}::jsonb) as w (id)
      join customers c on c.company_id = app_company() and c.id = w.id`),
  ])
  return new Map(result.rows.map(({ id, version, state }) => [id, { version, state }]))
}

/** Records that the provider listed these subscriptions, or answered that it has none with that id. */
export async function markSubscriptionsChecked(
  db: Db,
  { companyId, provider, account }: Target,
  subscriptionIds: readonly string[],
  now: Date,
): Promise<void> {
  if (subscriptionIds.length === 0) return
  const ids = JSON.stringify([...new Set(subscriptionIds)])
  await inCompany(db, companyId, [
    db.execute(sql`
      insert into subscription_checks (company_id, provider, subscription_id, account, checked_at)
      select app_company(), ${provider}, w.id, ${account}, ${now.toISOString()}::timestamptz
      from jsonb_array_elements_text(${ids}::jsonb) as w (id)
      on conflict (company_id, provider, subscription_id)
        do update set account = excluded.account, checked_at = excluded.checked_at`),
  ])
}

/**
 * Subscriptions that have not ended in our state and that the provider has not listed since `since`. One that it never
 * listed is included only where the company has one account: another account may still list it.
 */
export async function uncheckedSubscriptions(
  db: Db,
  { companyId, provider, account }: Target,
  { since, limit, isOnlyAccount }: { readonly since: Date; readonly limit: number; readonly isOnlyAccount: boolean },
): Promise<readonly string[]> {
  const [result] = await inCompany(db, companyId, [
    db.execute<{ id: string }>(sql`
      select s.id from subscriptions s
      left join subscription_checks k
        on k.company_id = s.company_id and k.provider = s.provider and k.subscription_id = s.id
      where s.company_id = app_company() and s.provider = ${provider} and s.ended_at is null
        and (k.checked_at < ${since.toISOString()}::timestamptz and (k.account = ${account} or ${isOnlyAccount}::boolean)
          or k.checked_at is null and ${isOnlyAccount}::boolean)
      order by s.id limit ${limit}`),
  ])
  return result.rows.map(({ id }) => id)
}
