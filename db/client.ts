/**
 * The connection to Postgres over Neon's HTTP protocol: one fetch is one round trip and, as a batch, one transaction.
 */
import { NeonDbError, type NeonQueryFunction, neon, neonConfig } from "@neondatabase/serverless"
import { DrizzleQueryError, sql } from "drizzle-orm"
import type { BatchItem } from "drizzle-orm/batch"
import { drizzle, type NeonHttpDatabase } from "drizzle-orm/neon-http"

export type Db = NeonHttpDatabase & { readonly $client: NeonQueryFunction<false, false> }

export interface DatabaseOptions {
  readonly url: string
  /** Only the local world has one; elsewhere the driver derives it from the host of the URL. */
  readonly fetchEndpoint: string | null
  /** The driver has no time-out. After this one the outcome of a statement is unknown. */
  readonly timeoutMs: number
  /** Called before each round trip; may throw to prevent it. */
  readonly spend?: () => void
}

/** A database client for one request; it makes no call until the first query. */
export function makeDb({ url, fetchEndpoint, timeoutMs, spend = () => undefined }: DatabaseOptions): Db {
  if (fetchEndpoint !== null) neonConfig.fetchEndpoint = fetchEndpoint
  neonConfig.fetchFunction = fetchWithBounds
  const bounds: Bounds = { timeoutMs, spend }
  return drizzle(neon(url, { fetchOptions: { bounds } }))
}

interface Bounds {
  readonly timeoutMs: number
  readonly spend: () => void
}

/** The driver has one `fetch` for all clients; a client's own bounds come with each call's options. */
async function fetchWithBounds(input: RequestInfo, { bounds, ...init }: RequestInit & { readonly bounds: Bounds }) {
  bounds.spend()
  const limit = timeLimit(bounds.timeoutMs)
  try {
    const response = await fetch(input, { ...init, signal: limit.signal })
    // The limit is for the whole answer.
    return new Response(await response.arrayBuffer(), { status: response.status })
  } finally {
    limit.clear()
  }
}

/** An answer that has arrived needs a few turns of the event loop until it was read. */
const LIMIT_TURNS = 4

/**
 * Aborts after `ms`, in several turns of the event loop. In a burst an isolate may be busy for longer than the limit with
 * requests that it has to begin; by a single timer it would then give up calls whose answers are there already.
 */
function timeLimit(ms: number): { readonly signal: AbortSignal; clear(): void } {
  const controller = new AbortController()
  let timer: ReturnType<typeof setTimeout>
  const wait = (turns: number): void => {
    timer = setTimeout(() => {
      if (turns > 1) wait(turns - 1)
      else controller.abort(new DOMException(`no answer after ${ms} ms`, "TimeoutError"))
    }, ms / LIMIT_TURNS)
  }
  wait(LIMIT_TURNS)
  return { signal: controller.signal, clear: () => clearTimeout(timer) }
}

/** A parameter of a database function; its types are the function's. */
export type FunctionParameter = string | number | null | readonly (string | number | boolean | null)[]

/**
 * Calls a database function that enters its company itself: one round trip, one transaction. By the driver alone: the query
 * builder takes 0.2 ms for a statement of thirty parameters, and each webhook waits for two.
 */
export async function callFunction<Row>(
  db: Db,
  name: string,
  parameters: readonly FunctionParameter[],
): Promise<readonly Row[]> {
  const places = parameters.map((_, index) => `$${index + 1}`)
  // The driver knows no types of rows.
  return (await db.$client.query(`select * from ${name}(${places.join()}) as result`, [...parameters])) as Row[]
}

/** The first statement of every tenant's batch: from here on the transaction sees one company only. */
const enterCompany = (db: Db, companyId: string) =>
  db.execute(sql`select set_config('app.company_id', ${companyId}, true)`)

/** Runs the statements as one transaction that sees one company only: one round trip, all or nothing. */
export async function inCompany<const T extends readonly BatchItem<"pg">[]>(
  db: Db,
  companyId: string,
  statements: T,
): Promise<{ [K in keyof T]: Awaited<T[K]> }> {
  const [, ...results] = await db.batch([enterCompany(db, companyId), ...statements])
  // db.batch returns results in the order of its statements; its type cannot express a spread tuple.
  return results as { [K in keyof T]: Awaited<T[K]> }
}

/** A batch that waits to be sent with others. */
interface WaitingBatch {
  readonly statements: readonly BatchItem<"pg">[]
  readonly resolve: (results: unknown) => void
  readonly reject: (error: unknown) => void
}

/**
 * A client that sends batches together when they are asked for before the event loop turns: one round trip and one
 * transaction for all. If one fails, all do; so it is for reads. Each batch enters its company itself.
 */
export function groupingBatches(db: Db): Db {
  let waiting: WaitingBatch[] = []
  async function send(): Promise<void> {
    const group = waiting
    waiting = []
    try {
      const [first, ...others] = group.flatMap(({ statements }) => statements)
      if (first === undefined) return
      const results = await db.batch([first, ...others])
      let from = 0
      for (const { statements, resolve } of group) {
        resolve(results.slice(from, from + statements.length))
        from += statements.length
      }
    } catch (error) {
      for (const { reject } of group) reject(error)
    }
  }
  const batch = (statements: readonly BatchItem<"pg">[]): Promise<unknown> =>
    new Promise((resolve, reject) => {
      if (waiting.length === 0) setTimeout(send, 0)
      waiting.push({ statements, resolve, reject })
    })
  return Object.create(db, { batch: { value: batch } })
}

/**
 * The kinds of failed statements. `outcome_unknown`: it may have been committed; only an idempotent retry is safe.
 * `canceled`: a time limit of the Worker's role ended it; nothing was committed, and a retry may succeed.
 */
export type DatabaseFailure = "stale_version" | "lost_lease" | "conflict" | "canceled" | "rejected" | "outcome_unknown"

/** A failure that a database function reports in its result rather than by an error. */
export class ReportedFailure extends Error {
  readonly failure: "stale_version" | "lost_lease"
  /** SQLSTATE, as in an error of the driver. */
  readonly code: string

  constructor(failure: "stale_version" | "lost_lease") {
    super(`the commit failed: ${failure}`)
    this.failure = failure
    this.code = failure === "stale_version" ? "CS001" : "CS002"
  }
}

/** statement_timeout, lock_timeout and idle_in_transaction_session_timeout (migration 0050). */
const CANCELED: ReadonlySet<string | null> = new Set(["57014", "55P03", "25P03"])

/** Classifies an error of the driver: without a Postgres code it is unknown whether the transaction was committed. */
export function databaseFailure(error: unknown): DatabaseFailure {
  const code = postgresCode(error)
  if (code === "CS001") return "stale_version"
  if (code === "CS002") return "lost_lease"
  if (code === "40001" || code === "40P01" || code === "23505") return "conflict"
  if (CANCELED.has(code)) return "canceled"
  if (code === null || code.startsWith("08") || code.startsWith("57") || code.startsWith("53")) return "outcome_unknown"
  return "rejected"
}

/**
 * SQLSTATE of an error of the driver or of drizzle (which wraps single statements, but not batches); null without one.
 */
export function postgresCode(error: unknown): string | null {
  for (let current = error; current instanceof Error; current = current.cause) {
    const code: unknown = "code" in current ? current.code : undefined
    if (typeof code === "string" && /^[0-9A-Z]{5}$/.test(code)) return code
  }
  return null
}

/** Whether Postgres did not answer in time, rather than refuse or our own code being wrong. */
export function isDatabaseUnavailable(error: unknown): boolean {
  if (!(error instanceof NeonDbError || error instanceof DrizzleQueryError)) return false
  const failure = databaseFailure(error)
  return failure === "outcome_unknown" || failure === "canceled"
}
