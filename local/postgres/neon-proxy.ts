import type { IncomingMessage } from "node:http"
import type { ClientBase, PoolClient } from "pg"
import pg from "pg"
import { z } from "zod"
import { type Faults, jsonReply, type Reply, serve, textReply } from "../faults.ts"
import { headerOf } from "../loopback.ts"

/** A running local replacement of Neon's SQL-over-HTTP service. `url` is the value for `neonConfig.fetchEndpoint`. */
export type NeonProxy = { readonly url: string; stop(): Promise<void> }

export type NeonProxyOptions = {
  /** The connection URL for a role and a database. The password in the client's URL is not checked. */
  readonly postgres: { url(user: string, database: string): string }
  /** Default: a free one. */
  readonly port?: number
  readonly faults: Faults
  /** Called once for every request that reaches Postgres, so that a test can count round trips. */
  readonly onRequest?: (request: { readonly queries: number }) => void
}

/** Per role and database, so that three roles stay below Postgres' limit. */
const CONNECTIONS_MAX = 30
/** A connection is kept: the first queries of a new one read the catalogue and plan every function again. */
const IDLE_MS_MAX = 0
/** Longer than a restart of Postgres; after it the client gets a server error. */
const CONNECT_TIMEOUT_MS = 5_000

/** The fields of Neon's error body, as `pg` names them on its errors. */
const ERROR_FIELDS = [
  ...["severity", "code", "detail", "hint", "position", "internalPosition", "internalQuery", "where"],
  ...["schema", "table", "column", "dataType", "constraint", "file", "line", "routine"],
] as const

const statement = z.object({ query: z.string(), params: z.array(z.unknown()).default([]) })
/** One statement, or a batch that is one transaction. */
export const requestBody = z.union([z.object({ queries: z.array(statement) }), statement])
type Statement = z.infer<typeof statement>

/**
 * Serves Neon's HTTP protocol over real connections: one statement per request, or a batch that is one transaction. It
 * connects as the client's role, so that privileges and row-level security apply. A request continues when the client
 * disconnects, as in production.
 */
export async function startNeonProxy({ postgres, port, faults, onRequest }: NeonProxyOptions): Promise<NeonProxy> {
  const pools = new Map<string, pg.Pool>()

  function poolFor(connectionString: string): pg.Pool {
    const { username, pathname } = new URL(connectionString)
    const url = postgres.url(decodeURIComponent(username), decodeURIComponent(pathname.slice(1)))
    let pool = pools.get(url)
    if (!pool) {
      pool = new pg.Pool({
        connectionString: url,
        max: CONNECTIONS_MAX,
        idleTimeoutMillis: IDLE_MS_MAX,
        connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
        pipeline: true,
        allowExitOnIdle: true,
      })
      // A server that stops closes its idle connections; without a listener that would end our process.
      pool.on("error", () => {})
      // The same for a connection in use; its user gets the error through the query.
      pool.on("connect", (client) => client.on("error", () => {}))
      pools.set(url, pool)
    }
    return pool
  }

  async function answer(req: IncomingMessage, body: Buffer): Promise<Reply> {
    if (req.method !== "POST" || req.url !== "/sql") return textReply("not found", 404)
    const connectionString = headerOf(req, "neon-connection-string")
    if (!connectionString || !URL.canParse(connectionString)) return badRequest("no usable connection string")
    const parsed = requestBody.safeParse(parseJson(body))
    if (!parsed.success) return badRequest("not a query or a batch of queries")
    const request = parsed.data
    onRequest?.({ queries: "queries" in request ? request.queries.length : 1 })

    let client: PoolClient
    try {
      client = await poolFor(connectionString).connect()
    } catch (error) {
      return textReply(`cannot connect to Postgres: ${messageOf(error)}`, 500)
    }
    const queries = "queries" in request ? request.queries : [request]
    const arrayMode = headerOf(req, "neon-array-mode") === "true"
    try {
      const result =
        "queries" in request
          ? { results: await runBatch(client, queries, beginFor(req), arrayMode) }
          : await run(client, request, arrayMode)
      void releaseClient(client, { asNew: queries.some(({ query }) => CHANGES_SESSION.test(query)) })
      return jsonReply(result)
    } catch (error) {
      void releaseClient(client, { asNew: true })
      return error instanceof pg.DatabaseError && !isServerGone(error)
        ? jsonReply(errorBody(error), 400)
        : textReply(`connection to Postgres failed: ${messageOf(error)}`, 500)
    }
  }

  const server = await serve(port, (req, res) => faults.intercept("postgres", req, res, (body) => answer(req, body)))
  return {
    url: `${server.url}/sql`,
    async stop() {
      await server.stop()
      await Promise.all([...pools.values()].map((pool) => pool.end()))
    },
  }
}

/** Runs one statement, with values in Postgres' text format. With a name it is prepared once per session. */
export async function run(client: ClientBase, { query, params }: Statement, arrayMode: boolean, name?: string) {
  const config: pg.QueryArrayConfig & { queryMode: "extended" } = {
    ...(name !== undefined && { name }),
    text: query,
    values: params,
    rowMode: "array",
    types: { getTypeParser: () => (value: unknown) => value },
    queryMode: "extended", // the simple protocol would accept several statements at once, which Neon does not
  }
  const { command, rowCount, fields, rows } = await client.query(config)
  const asObject = (row: unknown[]) => Object.fromEntries(fields.map((field, index) => [field.name, row[index]]))
  return { command, rowCount, rowAsArray: arrayMode, fields, rows: arrayMode ? rows : rows.map(asObject) }
}

/** Sends all at once. After an error Postgres refuses the rest, and rolls back at the end. */
async function runBatch(client: ClientBase, queries: readonly Statement[], begin: string, arrayMode: boolean) {
  const begun = client.query(begin)
  const results = queries.map((query) => run(client, query, arrayMode))
  const ended = client.query("COMMIT")
  const all = await Promise.allSettled([begun, ...results, ended])
  const failed = all.find((result) => result.status === "rejected")
  if (failed) throw failed.reason // the first error is the one to report
  return Promise.all(results)
}

const ISOLATION_LEVELS: Readonly<Record<string, string>> = {
  ReadUncommitted: "READ UNCOMMITTED",
  ReadCommitted: "READ COMMITTED",
  RepeatableRead: "REPEATABLE READ",
  Serializable: "SERIALIZABLE",
}

function beginFor(req: IncomingMessage): string {
  const level = ISOLATION_LEVELS[headerOf(req, "neon-batch-isolation-level") ?? ""]
  return [
    "BEGIN",
    level && `ISOLATION LEVEL ${level}`,
    headerOf(req, "neon-batch-read-only") === "true" && "READ ONLY",
    headerOf(req, "neon-batch-deferrable") === "true" && "DEFERRABLE",
  ]
    .filter(Boolean)
    .join(" ")
}

/**
 * Statements that can change a session for its next user, unlike settings and locks that end with their transaction. An
 * unchanged session is kept, with the cached plans of its functions, like a pooled one elsewhere.
 */
const CHANGES_SESSION =
  /^\s*(set|reset|prepare|listen|declare)\b|set_config(?!\([^()]*,\s*true\s*\))|pg_(try_)?advisory_lock|\btemp(orary)?\b/i

/**
 * Releases the connection without state of this request: code must not depend on a setting that happens to survive,
 * least of all the company that row-level security reads. One that cannot be reset, because it is broken or inside a
 * transaction, is closed. Never rejects.
 */
async function releaseClient(client: PoolClient, { asNew }: { asNew: boolean }): Promise<void> {
  try {
    if (asNew || client.getTransactionStatus() !== "I") await client.query("DISCARD ALL")
    client.release()
  } catch {
    client.release(true)
  }
}

/** SQLSTATE class 57P: the server shuts down, crashed or has not started; not an answer to the statement. */
const isServerGone = ({ code }: pg.DatabaseError): boolean => code?.startsWith("57P") ?? false

/** The body of an answer to a statement that Postgres refused. */
export function errorBody(error: pg.DatabaseError): Record<string, unknown> {
  const fields = ERROR_FIELDS.map((name) => [name, error[name] ?? null])
  return { message: error.message, ...Object.fromEntries(fields) }
}

const badRequest = (message: string): Reply => jsonReply({ message }, 400)

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8"))
  } catch {
    return undefined
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
