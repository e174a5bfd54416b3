/** How a flow uses the world: over HTTP like its users, and Postgres directly to count rows. */
import pg from "pg"
import { inject } from "vitest"
import type { Bundle } from "../../../local/processes/bundle.ts"
import { requireDescribed } from "./described.ts"
import { HEARTBEATS } from "./heartbeats.ts"

export interface WorldAccess {
  readonly workerUrl: string
  readonly scheduledUrl: string | null
  /** What the Worker was started from; null: by the development server. */
  readonly bundle: Bundle | null
  readonly controlUrl: string
  readonly postgresUrl: string
  readonly adminApiKey: string
  readonly companyId: string
  readonly vars: Readonly<Record<string, string>>
}

declare module "vitest" {
  interface ProvidedContext {
    worlds: readonly WorldAccess[]
  }
}

let own: WorldAccess | null = null

/** The world of this test process. */
export function world(): WorldAccess {
  if (own !== null) return own
  const worlds = inject("worlds")
  const poolId = Number(process.env.VITEST_POOL_ID ?? "1")
  const running = worlds[(poolId - 1) % worlds.length]
  if (!running) throw new Error("no world was started for this test process")
  return running
}

/** Makes this file use a world of its own (start-world.ts); null: the shared one again. */
export function useWorld(access: WorldAccess | null): void {
  own = access
}

export interface MailboxMessage {
  readonly channel: string
  readonly to: string
  readonly subject: string
  readonly body: string
  readonly idempotencyKey: string | null
  readonly at: string
  readonly headers?: Readonly<Record<string, string>>
  readonly from?: string
  readonly replyTo?: string
  readonly html?: string | null
  readonly account?: string
}

/** How far the clock of each world is ahead of the machine's, since its last move. */
const clockOffsets = new Map<string, number>()
const moves = { begun: 0, ended: 0 }

const isMove = (method: string, path: string): boolean => method === "POST" && ["/clock", "/reset"].includes(path)

/** Calls the control server; throws when it refuses. */
export async function control<T>(method: string, path: string, body?: unknown): Promise<T> {
  if (!isMove(method, path)) return callControl(method, path, body)
  moves.begun += 1
  clockOffsets.delete(world().controlUrl)
  try {
    return await callControl(method, path, body)
  } finally {
    moves.ended += 1
  }
}

async function callControl<T>(method: string, path: string, body: unknown): Promise<T> {
  const response = await fetch(`${world().controlUrl}${path}`, {
    method,
    ...(body !== undefined && { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text}`)
  return (text === "" ? null : JSON.parse(text)) as T
}

/** Empties everything, so that a test starts from nothing, always at about the same time of day: some seconds later than the one before. */
export const reset = (): Promise<unknown> => control("POST", "/reset")

/**
 * Until the next reset, runs the heartbeats of these jobs too whenever the clock is moved; or, with "live", those of all jobs,
 * by themselves, by both triggers, as in production.
 */
export const runHeartbeats = (jobs: "live" | readonly string[]): Promise<unknown> =>
  control("POST", "/heartbeats", { running: jobs === "live" ? jobs : [...HEARTBEATS, ...jobs] })

/** Resolves when no work is pending: no delivery of QStash is due, and the Worker makes no more requests. */
export const settle = (): Promise<unknown> => control("POST", "/settle")

/** Moves the clock of Worker and QStash; resolves when no work is pending. */
export const advanceClock = (duration: string): Promise<unknown> => control("POST", "/clock", { advance: duration })

/** The Worker's time. Only tests move the clock, so it is asked for once after each move. */
export async function worldNow(): Promise<Date> {
  const { controlUrl } = world()
  const known = clockOffsets.get(controlUrl)
  if (known !== undefined) return new Date(Date.now() + known)
  const { begun, ended } = moves
  const { now, offsetMs } = await control<{ now: string; offsetMs: number }>("GET", "/clock")
  if (begun === ended && begun === moves.begun) clockOffsets.set(controlUrl, offsetMs)
  return new Date(now)
}

export const setFault = (target: string, mode: string): Promise<unknown> => control("POST", "/faults", { target, mode })

export const mailbox = async (): Promise<readonly MailboxMessage[]> =>
  (await control<{ messages: MailboxMessage[] }>("GET", "/mailbox")).messages

export const stats = (): Promise<Readonly<Record<string, number>>> => control("GET", "/stats")

/** Calls the Worker's API as operator, unless `key` differs. */
export async function api<T = Record<string, unknown>>(
  path: string,
  init: RequestInit & { readonly key?: string } = {},
): Promise<{ readonly status: number; readonly body: T }> {
  const { key = world().adminApiKey, ...rest } = init
  const response = await fetch(`${world().workerUrl}${path}`, {
    ...rest,
    headers: { authorization: `Bearer ${key}`, ...rest.headers },
  })
  const text = await response.text()
  const body = text === "" ? null : JSON.parse(text)
  if (text !== "") requireDescribed(init.method ?? "GET", path, response, body)
  return { status: response.status, body: body as T }
}

/** Pooled, because a connection costs more than most queries. */
const pools = new Map<string, pg.Pool>()

/** Rows straight from Postgres, bypassing row-level security; to check what the product has written. */
export async function sql<Row extends pg.QueryResultRow>(
  text: string,
  values: readonly unknown[] = [],
): Promise<Row[]> {
  const { postgresUrl } = world()
  let pool = pools.get(postgresUrl)
  if (!pool) {
    pool = new pg.Pool({ connectionString: postgresUrl, allowExitOnIdle: true })
    pool.on("error", () => {}) // the world stops before this process
    pools.set(postgresUrl, pool)
  }
  return (await pool.query<Row>(text, [...values])).rows
}

/** Usually well under a second is enough; a busy machine takes many times as long. */
const WAIT_SECONDS_MAX = 60
const POLL_MS = 50

/** Waits until `check` returns something, polling; throws after `seconds`. */
export async function waitFor<T>(
  check: () => Promise<T | null | undefined | false>,
  seconds = WAIT_SECONDS_MAX,
): Promise<T> {
  const until = Date.now() + seconds * 1000
  for (;;) {
    const result = await check()
    if (result) return result
    if (Date.now() > until) throw new Error(`still not true after ${seconds} s`)
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}

/** An event that lost every race is left to `sweep`, which takes what is a minute old. */
const LEFT_TO_SWEEP = "PT61S"
/** This often the Worker may pause in its work. */
const PAUSES_MAX = 20

/** Waits until no event is waiting to be folded, or has one of these statuses. */
export async function waitUntilProcessed(unfinished: readonly string[] = ["received"]): Promise<void> {
  let pauses = 0
  await waitFor(async () => {
    await settle()
    const [row] = await sql<{ left: string }>("select count(*) as left from webhook_events where status = any($1)", [
      unfinished,
    ])
    if (row?.left === "0") return true
    pauses += 1
    if (pauses % PAUSES_MAX === 0) await advanceClock(LEFT_TO_SWEEP)
    return false
  })
}
