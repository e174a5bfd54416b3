/** Whole ledgers with the times from which on each fact was known: what features and labels are made of. */
import { sql } from "drizzle-orm"
import type { FactBody, Instant } from "../../shared/domain/facts.ts"
import type { LedgerFact } from "../../shared/domain/features.ts"
import { type Db, inCompany } from "../client.ts"

/** The ledgers of these customers of a company, by our id; of one that has no facts, an empty one. One round trip. */
export async function readLedgers(
  db: Db,
  companyId: string,
  customerIds: readonly string[],
): Promise<ReadonlyMap<string, readonly LedgerFact[]>> {
  const [result] = await inCompany(db, companyId, [
    db.execute<LedgerJson>(sql`
      select customer_id as id, facts
      from read_ledgers(array(select jsonb_array_elements_text(${JSON.stringify(customerIds)}::jsonb)))`),
  ])
  return ledgersFrom(result.rows)
}

/**
 * The ledgers of the next customers of a company after that id, in order of ids: for readers of all of them, page by page.
 * An empty answer is the end. One round trip.
 */
export async function readLedgerPage(
  db: Db,
  companyId: string,
  { after, limit }: { readonly after: string | null; readonly limit: number },
): Promise<ReadonlyMap<string, readonly LedgerFact[]>> {
  const [result] = await inCompany(db, companyId, [
    db.execute<LedgerJson>(sql`
      select customer_id as id, facts from read_ledgers(array(
        select c.id from customers c
        where c.company_id = app_company() and c.id collate "C" > coalesce(${after}, '')
        order by c.id collate "C" limit ${limit}
      ))`),
  ])
  return ledgersFrom(result.rows)
}

type LedgerJson = { readonly id: string; readonly facts: readonly FactJson[] }

interface FactJson {
  readonly id: string
  readonly occurredAt: string
  readonly knownAt: string
  readonly body: FactBody
}

const ledgersFrom = (rows: readonly LedgerJson[]): ReadonlyMap<string, readonly LedgerFact[]> =>
  new Map(rows.map(({ id, facts }) => [id, facts.map(ledgerFact)]))

const ledgerFact = ({ id, occurredAt, knownAt, body }: FactJson): LedgerFact => ({
  ...body,
  id,
  occurredAt: instantOf(occurredAt),
  knownAt: instantOf(knownAt),
})

/** Postgres writes times in JSON with an offset and as many digits as it needs; the code compares one form only. */
const instantOf = (text: string): Instant => new Date(text).toISOString()
