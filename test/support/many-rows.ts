/** Tables with many rows, made in a transaction that is rolled back, and how many rows were read since it began. */
import { TEST_COMPANY, type TestDatabase } from "./database.ts"

/** The time of the first of the rows. */
export const ROWS_AT = new Date("2026-10-05T12:00:00.000Z")

/** Numbers of rows, so that later ones can be added. */
export interface RowRange {
  readonly from: number
  readonly to: number
}

/** Rows of tables and entries of indexes that this transaction has read. */
export async function rowsRead({ rows }: TestDatabase): Promise<number> {
  const [row] = await rows<{ n: number }>(
    `SELECT sum(pg_stat_get_xact_tuples_returned(oid))::int AS n FROM pg_class
      WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i')`,
  )
  return row?.n ?? 0
}

/** Inserts without the checks of foreign keys, which take longer than all the rest. */
export async function withoutForeignKeys({ rows }: TestDatabase, insert: () => Promise<void>): Promise<void> {
  await rows("SET LOCAL session_replication_role = replica")
  await insert()
  await rows("SET LOCAL session_replication_role = DEFAULT")
}

/** Customers of the company: so many facts, a quarter as many events and links, and fewer nudges and customers. */
export const fillTables = (database: TestDatabase, range: RowRange): Promise<void> =>
  withoutForeignKeys(database, async () => {
    const insert = (text: string, step = 1) =>
      database.rows(text.replace("FROM rows", "FROM generate_series($3::int, $4::int, $5::int) AS n"), [
        ...[TEST_COMPANY, ROWS_AT, range.from, range.to, step],
      ])
    await insert(
      `INSERT INTO customers (company_id, id, provider, provider_customer_id, created_at, updated_at)
        SELECT $1, 'stripe_other_' || n, 'stripe', 'other_' || n, $2, $2 FROM rows`,
      20,
    )
    await insert(
      `INSERT INTO object_links (company_id, provider, object_id, root_id, is_customer, holds_facts, created_at)
      SELECT $1, 'stripe', 'other_in_' || n, 'other_' || n / 10, true, n % 100 = 1, $2 FROM rows`,
      4,
    )
    await insert(`INSERT INTO facts (company_id, id, provider, subject, kind, rank, occurred_at, recorded_at, body)
      SELECT $1, 'other ' || n, 'stripe', 'other_' || n / 10, 'payment_failed', 31, $2::timestamptz + n * interval '1 ms', $2, '{}'
      FROM rows`)
    await insert(
      `INSERT INTO webhook_events (
        company_id, id, provider, account, provider_event_id, type, status, customer_id, occurred_at, received_at
      ) SELECT $1, gen_random_uuid(), 'stripe', '', 'other_' || n, 'invoice.paid', 'processed', 'stripe_other_' || n / 10, $2,
        $2::timestamptz + n * interval '1 ms' FROM rows`,
      4,
    )
    await insert(
      `INSERT INTO nudges (company_id, id, case_id, customer_id, step, channel, status, due_at)
        SELECT $1, 'other ' || n, 'other', 'stripe_other_' || n / 10, 0, 'email', 'sent', $2::timestamptz + n * interval '1 ms'
        FROM rows`,
      10,
    )
  })
