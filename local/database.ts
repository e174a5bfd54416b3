/** The database of the local world: the roles of a hosted Postgres, the schema, and one company. */
import pg from "pg"
import { migrate } from "../db/migrate.ts"

/** Owns the tables; not a superuser, so that a migration that needs one fails here as elsewhere. */
const OWNER_ROLE = "churn_owner"

/** The Whop account of local webhooks; Stripe's name none. */
export const DEMO_WHOP_COMPANY = "biz_demo"

/** Creates the roles, runs the migrations and adds the company, each if missing. */
export async function prepareDatabase(adminUrl: string, companyId: string): Promise<void> {
  await asAdmin(adminUrl, async (query) => {
    await query(`DO $$ BEGIN
      IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '${OWNER_ROLE}') THEN
        CREATE ROLE ${OWNER_ROLE} LOGIN CREATEROLE;
      END IF;
      EXECUTE format('ALTER DATABASE %I OWNER TO ${OWNER_ROLE}', current_database());
      ALTER SCHEMA public OWNER TO ${OWNER_ROLE};
    END $$`)
  })
  const ownerUrl = new URL(adminUrl)
  ownerUrl.username = OWNER_ROLE
  await migrate(ownerUrl.href)
  await asAdmin(adminUrl, async (query) => {
    await query("ALTER ROLE churn_worker LOGIN")
    await addCompany(query, companyId)
  })
}

/** One connection for each database, kept: a new one reads the catalogue first, which takes longer than emptying all tables. */
const pools = new Map<string, pg.Pool>()

function poolOf(adminUrl: string): pg.Pool {
  const known = pools.get(adminUrl)
  if (known) return known
  const pool = new pg.Pool({ connectionString: adminUrl, max: 1, idleTimeoutMillis: 0, allowExitOnIdle: true })
  pool.on("error", () => {}) // the server stops before this process
  pools.set(adminUrl, pool)
  return pool
}

/** Postgres aborted this transaction because of a deadlock. */
const DEADLOCK = "40P01"
const ATTEMPTS_MAX = 10

/** Empties every table and adds the company. Retries when it deadlocks with running work of the Worker. */
export async function emptyDatabase(adminUrl: string, companyId: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      const pool = poolOf(adminUrl)
      await pool.query(EMPTY_ALL)
      await addCompany((text, values = []) => pool.query(text, [...values]), companyId)
      return
    } catch (error) {
      const isDeadlock = error instanceof pg.DatabaseError && error.code === DEADLOCK
      if (!isDeadlock || attempt === ATTEMPTS_MAX) throw error
    }
  }
}

/** Tables up to this size are emptied with DELETE, which is much faster than TRUNCATE for few rows. */
const SMALL_BYTES = 128 * 1_024

/**
 * All tables are locked and foreign keys are not checked, since all rows are deleted. Most tables are empty, and most
 * others are small.
 */
const EMPTY_ALL = `DO $$ DECLARE names text; name text; BEGIN
  SET LOCAL session_replication_role = replica;
  SELECT string_agg(format('%I', c.relname), ', ') INTO names FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition;
  EXECUTE 'LOCK TABLE ' || names;
  SELECT string_agg(format('%I', c.relname), ', ') INTO names FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND pg_relation_size(c.oid) > ${SMALL_BYTES};
  IF names IS NOT NULL THEN EXECUTE 'TRUNCATE ' || names || ' CASCADE'; END IF;
  FOR name IN SELECT c.relname FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND pg_relation_size(c.oid) > 0 LOOP
    EXECUTE format('DELETE FROM %I', name);
  END LOOP;
END $$`

type Query = (text: string, values?: readonly unknown[]) => Promise<unknown>

async function addCompany(query: Query, companyId: string): Promise<void> {
  await query("INSERT INTO companies (id, name) VALUES ($1, 'Demo Company') ON CONFLICT DO NOTHING", [companyId])
  await query(
    "INSERT INTO company_accounts (company_id, provider, account_id) VALUES ($1, 'whop', $2) ON CONFLICT DO NOTHING",
    [companyId, DEMO_WHOP_COMPANY],
  )
}

async function asAdmin(adminUrl: string, work: (query: Query) => Promise<void>): Promise<void> {
  const client = new pg.Client({ connectionString: adminUrl })
  await client.connect()
  try {
    await work((text, values = []) => client.query(text, [...values]))
  } finally {
    await client.end()
  }
}
