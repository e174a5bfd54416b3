/** The table of the bare Workers and their only statement. */
import { neon, neonConfig } from "@neondatabase/serverless"

/** The bindings of a bare Worker. */
export interface BareEnv {
  readonly DATABASE_URL: string
  readonly DATABASE_FETCH_ENDPOINT: string
  readonly STRIPE_WEBHOOK_SECRET: string
}

export const BARE_TABLE = `
  CREATE TABLE bench_events (
    id text PRIMARY KEY, type text NOT NULL, payload jsonb NOT NULL, received_at timestamptz NOT NULL DEFAULT now()
  );
  GRANT SELECT, INSERT ON bench_events TO churn_worker`

/** Stores an event unchanged, once per id. */
export async function insertEvent(env: BareEnv, body: string): Promise<void> {
  neonConfig.fetchEndpoint = env.DATABASE_FETCH_ENDPOINT
  const { id, type } = JSON.parse(body) as { readonly id: string; readonly type: string }
  const sql = neon(env.DATABASE_URL)
  await sql`insert into bench_events (id, type, payload) values (${id}, ${type}, ${body}::jsonb) on conflict do nothing`
}
