/**
 * Many customers from few: rows that the Worker itself has written for some customers are copied under other ids, so that a
 * large database has the form of a real one, whatever the tables look like. What is encrypted or hashed for a customer is
 * copied unchanged and cannot be read: copies have no address.
 */
import { runSql } from "./sql.ts"

/** The prefix of the customers to copy, and of the ids of their events. It must occur in no other id. */
export const SEED = "seedx"

/** The prefix of the customers of one copy. */
export const prefixOfCopy = (copy: number): string => `c${copy}x`

/** A payload of a copy: it is never read, and would only fill the disk. */
const PAYLOAD = "'\\x00'::bytea"

/** Addresses are hashed: copies would all be one person. */
const NOT_COPIED = ["customer_addresses", "job_runs", "job_states"]

interface Column {
  readonly table: string
  readonly column: string
  readonly type: string
}

/** Copies all rows of the seed's customers, once for each number from `from` to `to`. */
export async function copyCustomers(adminUrl: string, from: number, to: number): Promise<void> {
  if (to < from) return
  const columns = await runSql<Column & Record<string, unknown>>(
    adminUrl,
    `SELECT c.relname AS table, a.attname AS column, format_type(a.atttypid, NULL) AS type
     FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
       AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attidentity = ''
       AND EXISTS (SELECT FROM pg_attribute o WHERE o.attrelid = c.oid AND o.attname = 'company_id')
     ORDER BY c.relname, a.attnum`,
  )
  const tables = Map.groupBy(columns, ({ table }) => table)
  const statements = [...tables]
    .filter(([table]) => !NOT_COPIED.includes(table))
    .map(([table, own]) => copyStatement(table, own, from, to))
  // Copied rows fulfil what triggers and foreign keys would check.
  await runSql(adminUrl, ["SET session_replication_role = replica", ...statements].join(";\n"))
  await settleRows(adminUrl)
}

/** What Postgres does in the background after many rows are written, so that it is not counted to what is measured next. */
async function settleRows(adminUrl: string): Promise<void> {
  await runSql(adminUrl, "VACUUM")
  await runSql(adminUrl, "CHECKPOINT")
}

function copyStatement(table: string, columns: readonly Column[], from: number, to: number): string {
  const names = columns.map(({ column }) => `"${column}"`).join(", ")
  const values = columns.map(expressionOf).join(", ")
  const texts = columns.filter(({ type }) => type === "text").map(({ column }) => `s."${column}"`)
  return `INSERT INTO public."${table}" (${names})
    SELECT ${values} FROM public."${table}" s CROSS JOIN generate_series(${from}, ${to}) AS n
    WHERE concat_ws(' ', ${texts.join(", ")}) LIKE '%${SEED}%' ON CONFLICT DO NOTHING`
}

/** Ids that contain the seed get the copy's; those of events and facts, which are hashes, get the copy's number. */
function expressionOf({ column, type }: Column): string {
  const own = `s."${column}"`
  const renamed = `replace(${own}::text, '${SEED}', 'c' || n || 'x')`
  switch (type) {
    case "text":
      return column === "id" ? `CASE WHEN ${own} LIKE '%${SEED}%' THEN ${renamed} ELSE ${own} || '-' || n END` : renamed
    case "jsonb":
      return `regexp_replace(${renamed}, '"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\\.[0-9]+)"', '"\\1-' || n || '"', 'g')::jsonb`
    case "uuid":
      return `md5(${own}::text || n)::uuid`
    case "bytea":
      return column === "payload" ? PAYLOAD : own
    default:
      return own
  }
}

/** Gives each customer of a prefix a longer past: the first fact is copied, a second earlier each time. */
export async function lengthenLedgers(adminUrl: string, prefix: string, facts: number): Promise<void> {
  await runSql(
    adminUrl,
    `SET session_replication_role = replica;
     INSERT INTO facts (company_id, id, provider, subject, kind, rank, occurred_at, recorded_at, known_at, event_id, body)
       SELECT f.company_id, f.id || '-' || n, f.provider, f.subject, f.kind, f.rank, f.occurred_at - n * interval '1 second',
         f.recorded_at, f.known_at, f.event_id, f.body
       FROM (
         SELECT DISTINCT ON (subject) * FROM facts WHERE subject LIKE 'cus_${prefix}%' ORDER BY subject, occurred_at, rank, id
       ) AS f CROSS JOIN generate_series(1, ${facts}) AS n`,
  )
  await settleRows(adminUrl)
}
