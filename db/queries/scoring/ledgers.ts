/** Whole ledgers with the time at which each fact became known, from which features and labels are computed. */
import { type SQL, sql } from "drizzle-orm"
import type { LedgerPosition } from "../../../shared/domain/facts.ts"
import type { LedgerFact } from "../../../shared/domain/scoring/features.ts"
import { type Db, inCompany } from "../../client.ts"
import { type FactJson, instantOf } from "../platform/fact-json.ts"

/** Facts of one query; a longer ledger takes several. */
const FACTS_AT_ONCE = 2_000

/**
 * The ledgers of these customers by our id; an empty one for a customer without facts. One round trip per `FACTS_AT_ONCE`
 * facts. A fact committed between two of them may be missing; `saveScores` detects that by counting.
 */
export async function readLedgers(
  db: Db,
  companyId: string,
  customerIds: readonly string[],
): Promise<ReadonlyMap<string, readonly LedgerFact[]>> {
  const ledgers = new Map<string, LedgerFact[]>()
  let ids = customerIds
  let next: LedgerPosition | null = null
  do {
    const rows: readonly LedgerJson[] = await readPage(db, companyId, idsOf(ids), next)
    for (const { id, facts } of rows) ledgers.set(id, [...(ledgers.get(id) ?? []), ...facts.map(ledgerFact)])
    const last = rows.at(-1)
    next = last?.next ?? null
    const done = new Set(rows.map(({ id }) => id))
    ids = last === undefined ? [] : ids.filter((id) => !done.has(id) || (next !== null && id === last.id))
  } while (ids.length > 0)
  return ledgers
}

/**
 * A page of a company's ledgers in order of customer ids, after the id `after`. At most `limit` customers, fewer if their
 * ledgers are long. An empty result is the end.
 */
export async function readLedgerPage(
  db: Db,
  companyId: string,
  { after, limit }: { readonly after: string | null; readonly limit: number },
): Promise<ReadonlyMap<string, readonly LedgerFact[]>> {
  const customers = sql`array(
    select c.id from customers c
    where c.company_id = app_company() and c.id collate "C" > coalesce(${after}, '')
    order by c.id collate "C" limit ${limit}
  )`
  const ledgers = new Map<string, LedgerFact[]>()
  const rows = await readPage(db, companyId, customers, null)
  for (const { id, facts } of rows) ledgers.set(id, facts.map(ledgerFact))
  let last = rows.at(-1)
  while (last && last.next !== null) {
    ;[last] = await readPage(db, companyId, idsOf([last.id]), last.next)
    if (last) ledgers.get(last.id)?.push(...last.facts.map(ledgerFact))
  }
  return ledgers
}

const idsOf = (ids: readonly string[]) => sql`array(select jsonb_array_elements_text(${JSON.stringify(ids)}::jsonb))`

async function readPage(db: Db, companyId: string, customers: SQL, after: LedgerPosition | null) {
  const [result] = await inCompany(db, companyId, [
    db.execute<LedgerJson>(sql`
      select customer_id as id, facts, next
      from read_ledgers(${customers}, ${after === null ? null : JSON.stringify(after)}::jsonb, ${FACTS_AT_ONCE})`),
  ])
  return result.rows
}

type LedgerJson = { readonly id: string; readonly facts: readonly FactJson[]; readonly next: LedgerPosition | null }

const ledgerFact = ({ id, occurredAt, knownAt, body }: FactJson): LedgerFact => ({
  ...body,
  id,
  occurredAt: instantOf(occurredAt),
  knownAt: instantOf(knownAt),
})
