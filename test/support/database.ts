/**
 * Queries and functions on a real Postgres, each test in a transaction that is rolled back. The driver is the Worker's own;
 * what it would send over HTTP is carried out in the test's transaction, as the Worker's role.
 */
import type pg from "pg"
import { afterAll, afterEach, beforeAll, beforeEach, inject, vi } from "vitest"
import { type Db, makeDb } from "../../db/client.ts"
import { Database } from "../simulation/world/database.ts"

/** A company that is there in every test. */
export const TEST_COMPANY = "test_company"

declare module "vitest" {
  interface ProvidedContext {
    databaseUrl: string
  }
}

const ENDPOINT = "http://database.test/sql"

export interface TestDatabase {
  /** The client that the Worker's queries take. */
  readonly db: Db
  /** Rows, past row-level security. */
  rows<Row extends pg.QueryResultRow>(text: string, values?: readonly unknown[]): Promise<Row[]>
  /** Adds a company. */
  addCompany(id: string): Promise<void>
}

/** For a file of tests: its connection, and a transaction for each test. */
export function useDatabase(): TestDatabase {
  let database: Database
  const rows: TestDatabase["rows"] = (text, values = []) => database.read(text, values)
  const addCompany = async (id: string) => {
    await rows("INSERT INTO companies (id, name) VALUES ($1, $1) ON CONFLICT DO NOTHING", [id])
  }

  beforeAll(async () => {
    database = await Database.connect(inject("databaseUrl"))
    vi.stubGlobal("fetch", async (_: unknown, { body, headers }: RequestInit) => {
      const request = { headers: Object.fromEntries(new Headers(headers)) }
      const reply = await database.answer(request as never, Buffer.from(String(body)), 0, () => {})
      return new Response(String(reply.body), { status: reply.status, headers: reply.headers ?? {} })
    })
  })
  beforeEach(async () => {
    await database.begin()
    await addCompany(TEST_COMPANY)
  })
  afterEach(() => database.rollback())
  afterAll(async () => {
    vi.unstubAllGlobals()
    await database.close()
  })

  const db = makeDb({
    url: "postgresql://churn_worker@database.test/churn_saver",
    fetchEndpoint: ENDPOINT,
    timeoutMs: 10_000,
  })
  return { db, rows, addCompany }
}
