/** Customers for the API. Names and addresses are sealed; the caller decides whether to open them. */
import { and, asc, desc, eq, inArray, or, type SQL, sql } from "drizzle-orm"
import type { PgColumn } from "drizzle-orm/pg-core"
import type { AddressIndex } from "../../../shared/contact/address-index.ts"
import type { ProviderName } from "../../../shared/domain/facts.ts"
import type { RiskLevel } from "../../../shared/domain/scoring/health.ts"
import type { SubscriptionState } from "../../../shared/domain/state.ts"
import { type Db, inCompany } from "../../client.ts"
import { customerScores } from "../../schema/scoring.ts"
import {
  consents,
  customerAddresses,
  customerKeys,
  customerNames,
  customerPii,
  customerQuarantines,
  customers,
} from "../../schema.ts"
import { afterPosition, foundPageOf, lookingUp, type Page, type PageRequest, searching } from "../platform/page.ts"
import type { ScoreRow } from "../scoring/scores.ts"
import { readWhole, type Stream } from "./ledger-pages.ts"
import { type StreamRow, startStream, streamFrom } from "./stream.ts"

/** A customer's consent to messages. */
export interface ConsentRow {
  readonly purpose: string
  readonly isGranted: boolean
  readonly via: string
  readonly changedAt: string
}

/** Filters of a list of customers. */
export interface CustomerFilter {
  readonly provider?: ProviderName | undefined
  readonly providerCustomerId?: string | undefined
  /** A condition on the customer's row, from `segmentCondition`. */
  readonly condition?: SQL | undefined
  /** The level of the latest score, at the time of the score. */
  readonly riskLevel?: RiskLevel | undefined
  /** Blind indexes, of which the customer has one. */
  readonly addresses?: readonly AddressIndex[] | undefined
  /** Words that the customer's name has, each by its blind indexes. */
  readonly words?: readonly (readonly string[])[] | undefined
}

/** A customer in a list, as of the last fold. */
export interface CustomerRow {
  readonly id: string
  readonly provider: ProviderName
  readonly providerCustomerId: string
  readonly createdAt: Date
  readonly timeZone: string | null
  readonly subscriptions: Readonly<Record<string, SubscriptionState>> | null
  readonly consents: readonly ConsentRow[]
  readonly sealedContact: Uint8Array | null
  readonly wrappedDataKey: Uint8Array | null
  /** The latest score; the customer may have changed since. */
  readonly score: ScoreRow | null
}

/** Condition: the column has the id of this customer, given by our id or the provider's. */
export const matchesCustomer = (db: Db, column: PgColumn, companyId: string, customerId: string): SQL =>
  inArray(
    column,
    db
      .select({ id: customers.id })
      .from(customers)
      .where(and(eq(customers.companyId, companyId), hasEitherId(customerId))),
  )

const hasEitherId = (customerId: string) =>
  or(eq(customers.id, customerId), eq(customers.providerCustomerId, customerId))

/** A customer found by `name`: our id, or the provider's. */
export interface CustomerLookup {
  readonly name: string
  readonly id: string
  readonly provider: ProviderName
  readonly providerCustomerId: string
}

/** The customers with these ids (ours or the provider's), by id; unknown ones are omitted. Our id has priority, as in `readCustomer`. */
export async function findCustomers(
  db: Db,
  companyId: string,
  names: readonly string[],
): Promise<ReadonlyMap<string, CustomerLookup>> {
  if (names.length === 0) return new Map()
  const [result] = await inCompany(db, companyId, [
    db.execute<{ name: string; id: string; provider: ProviderName; providerCustomerId: string }>(sql`
      select distinct on (n.name) n.name, c.id, c.provider, c.provider_customer_id as "providerCustomerId"
      from jsonb_array_elements_text(${JSON.stringify([...new Set(names)])}::jsonb) as n (name)
      join customers c on c.company_id = app_company() and (c.id = n.name or c.provider_customer_id = n.name)
      order by n.name, c.id = n.name desc, c.id`),
  ])
  return new Map(result.rows.map((row) => [row.name, row]))
}

/** Our id of a customer of the entered company, for a statement that must not wait for `findCustomers`. */
export const customerNamed = (name: string): SQL =>
  sql`(select c.id from customers c where c.company_id = app_company() and (c.id = ${name} or c.provider_customer_id = ${name})
    order by c.id = ${name} desc, c.id limit 1)`

/** A page of a company's customers, the newest first. */
export async function listCustomers(
  db: Db,
  companyId: string,
  filter: CustomerFilter,
  page: PageRequest,
): Promise<Page<CustomerRow>> {
  const { from, where, columns } = customerSource(db, companyId, filter, page)
  const [rows] = await inCompany(db, companyId, [
    db
      .select({
        ...columns,
        id: customers.id,
        provider: customers.provider,
        providerCustomerId: customers.providerCustomerId,
        createdAt: customers.createdAt,
        timeZone: sql<string | null>`${customers.state} #>> '{profile,timeZone}'`,
        subscriptions: sql<CustomerRow["subscriptions"]>`${customers.state} -> 'subscriptions'`,
        consents: sql<readonly ConsentRow[]>`coalesce((
          select jsonb_agg(jsonb_build_object(
            'purpose', s.purpose, 'isGranted', s.is_granted, 'via', s.via, 'changedAt', s.changed_at
          ) order by s.purpose)
          from consents s where s.company_id = ${companyId} and s.customer_id = ${customers.id}
        ), '[]'::jsonb)`,
        sealedContact: customerPii.sealed,
        wrappedDataKey: customerKeys.wrapped,
        score: customerScores,
      })
      .from(from)
      .leftJoin(
        customerPii,
        and(eq(customerPii.companyId, customers.companyId), eq(customerPii.customerId, customers.id)),
      )
      .leftJoin(
        customerKeys,
        and(eq(customerKeys.companyId, customers.companyId), eq(customerKeys.customerId, customers.id)),
      )
      .leftJoin(
        customerScores,
        and(eq(customerScores.companyId, customers.companyId), eq(customerScores.customerId, customers.id)),
      )
      .where(where)
      .orderBy(desc(customers.createdAt), desc(customers.id))
      .limit(page.limit + 1),
  ])
  return foundPageOf(rows, page, (row) => ({ at: row.createdAt, id: row.id }))
}

/** The newest first. */
const ORDER = { at: customers.createdAt, id: customers.id }

function customerSource(db: Db, companyId: string, filter: CustomerFilter, { after }: PageRequest) {
  const within = and(eq(customers.companyId, companyId), afterPosition(ORDER, after))
  const matches = and(
    filter.provider && eq(customers.provider, filter.provider),
    filter.condition,
    // For each customer that is searched; as a join it would read all scores.
    filter.riskLevel &&
      sql`(select s.risk_level from ${customerScores} s where s.company_id = ${companyId} and s.customer_id = ${customers.id}
        and s.not_scored is null) = ${filter.riskLevel}`,
  )
  const few = and(
    filter.providerCustomerId === undefined ? undefined : eq(customers.providerCustomerId, filter.providerCustomerId),
    filter.addresses && hasAddress(db, companyId, filter.addresses),
    ...(filter.words ?? []).map((word) => hasWord(db, companyId, word)),
  )
  if (few !== undefined) return lookingUp(customers, and(within, few, matches))
  // Always true, and stated by the index of the list.
  const listed = and(within, sql`${customers.createdAt} < 'infinity'`)
  return searching(customers, ORDER, { within: listed, matches })
}

/** Customers that are looked at for a word; of a more frequent one, some customers are not found. */
const NAMED_MAX = 10_000

const hasWord = (db: Db, companyId: string, indexes: readonly string[]): SQL =>
  inArray(
    customers.id,
    db
      .select({ id: customerNames.customerId })
      .from(customerNames)
      .where(and(eq(customerNames.companyId, companyId), inHex(customerNames.name, indexes)))
      .limit(NAMED_MAX),
  )

/** Condition: the column has one of these bytes. */
const inHex = (column: PgColumn, values: readonly string[]): SQL =>
  sql`${column} in (${sql.join(
    values.map((value) => sql`decode(${value}, 'hex')`),
    sql`, `,
  )})`

const hasAddress = (db: Db, companyId: string, addresses: readonly AddressIndex[]): SQL =>
  inArray(
    customers.id,
    db
      .select({ id: customerAddresses.customerId })
      .from(customerAddresses)
      .where(
        and(
          eq(customerAddresses.companyId, companyId),
          inArray(customerAddresses.kind, [...new Set(addresses.map(({ kind }) => kind))]),
          inHex(
            customerAddresses.address,
            addresses.map(({ index }) => index),
          ),
        ),
      ),
  )

/**
 * The stream of a customer, given by our id or the provider's, with consents, score and quarantine; null when there is none. Our id has
 * priority where one customer's id is another one's at the provider.
 */
export async function readCustomer(
  db: Db,
  companyId: string,
  customerId: string,
): Promise<{
  readonly stream: Stream
  readonly consents: readonly ConsentRow[]
  readonly score: ScoreRow | null
  /** The latest one, current or past. */
  readonly quarantine: typeof customerQuarantines.$inferSelect | null
} | null> {
  const found = sql`(select ${customers.id} from ${customers}
    where ${and(eq(customers.companyId, companyId), hasEitherId(customerId))}
    order by ${customers.id} = ${customerId} desc, ${customers.id} limit 1)`
  const [result, rows, [score], [quarantine]] = await inCompany(db, companyId, [
    db.execute<StreamRow>(sql`select read_stream(${found}, true) as stream`),
    db
      .select()
      .from(consents)
      .where(and(eq(consents.companyId, companyId), sql`${consents.customerId} = ${found}`))
      .orderBy(asc(consents.purpose)),
    db
      .select()
      .from(customerScores)
      .where(and(eq(customerScores.companyId, companyId), sql`${customerScores.customerId} = ${found}`)),
    db
      .select()
      .from(customerQuarantines)
      .where(and(eq(customerQuarantines.companyId, companyId), sql`${customerQuarantines.customerId} = ${found}`)),
  ])
  const first = streamFrom(companyId, result)
  if (first === null) return null
  const stream = await readWhole(db, () => startStream(db, companyId, first.customer.id, { whole: false }), first)
  if (stream === null) return null
  return {
    stream,
    score: score ?? null,
    quarantine: quarantine ?? null,
    consents: rows.map(({ purpose, isGranted, via, changedAt }) => ({
      purpose,
      isGranted,
      via,
      changedAt: changedAt.toISOString(),
    })),
  }
}
