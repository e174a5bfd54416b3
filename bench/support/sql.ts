/** Statements outside of what is measured: as the database's administrator, past the proxy, which counts requests. */
import pg from "pg"

/** Runs statements and returns the rows of the last one. */
export async function runSql<Row extends pg.QueryResultRow = pg.QueryResultRow>(
  adminUrl: string,
  text: string,
  values?: readonly unknown[],
): Promise<readonly Row[]> {
  const client = new pg.Client({ connectionString: adminUrl })
  await client.connect()
  try {
    const result: pg.QueryResult<Row> | pg.QueryResult<Row>[] = await client.query<Row>(text, values && [...values])
    return (Array.isArray(result) ? result.at(-1) : result)?.rows ?? []
  } finally {
    await client.end()
  }
}

/** Stops or resumes the background process that refreshes the statistics of tables. */
export async function setAutovacuum(adminUrl: string, isOn: boolean): Promise<void> {
  await runSql(adminUrl, `ALTER SYSTEM SET autovacuum = ${isOn ? "on" : "off"}`)
  await runSql(adminUrl, "SELECT pg_reload_conf()")
}

/** Removes the statistics of all tables, as if each had just been created. */
export async function forgetStatistics(adminUrl: string): Promise<void> {
  await runSql(
    adminUrl,
    `DELETE FROM pg_statistic s USING pg_class c
       WHERE c.oid = s.starelid AND c.relnamespace = 'public'::regnamespace;
     SELECT pg_clear_relation_stats('public', relname) FROM pg_class
       WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'i', 'I')`,
  )
}
