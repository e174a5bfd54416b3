/**
 * The customers of a company with their whole ledgers, page by page, for comparing the stored states with the ledgers.
 */
import { sql } from "drizzle-orm"
import { type Db, inCompany } from "../../client.ts"
import type { StreamReading } from "../recovery/ledger-pages.ts"
import { streamFrom } from "../recovery/stream.ts"

/** A customer as stored, with the first page of the whole ledger. */
export interface CustomerWithLedger {
  readonly stream: StreamReading
  /** The customer has unfinished events, whose facts may be in the ledger and not in the state. */
  readonly isPending: boolean
}

/** The next customers of a company after this id, in order of ids; empty at the end. One round trip. */
export async function loadCustomersWithLedger(
  db: Db,
  companyId: string,
  { after, limit }: { readonly after: string | null; readonly limit: number },
): Promise<readonly CustomerWithLedger[]> {
  const [result] = await inCompany(db, companyId, [
    db.execute<Parameters<typeof streamFrom>[1]["rows"][number] & { is_pending: boolean }>(sql`
      select read_stream(p.id, false) as stream, exists (
        select from webhook_events e where e.company_id = app_company() and e.customer_id = p.id
          and e.status in ('received', 'failed', 'held')
      ) as is_pending
      from (
        select c.id from customers c
        where c.company_id = app_company() and c.id collate "C" > coalesce(${after}, '')
        order by c.id collate "C" limit ${limit}
      ) as p order by p.id collate "C"`),
  ])
  return result.rows.flatMap((row) => {
    const stream = streamFrom(companyId, { rows: [row] })
    return stream === null ? [] : [{ stream, isPending: row.is_pending }]
  })
}
