/** How a flow speaks to the world: over HTTP as its users do, and to Postgres directly where it counts rows. */
import pg from "pg"
import { inject } from "vitest"
import { requireDescribed } from "./described.ts"

export interface WorldAccess {
  readonly workerUrl: string
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

/** The running world: of this process of tests, and of no other. */
export function world(): WorldAccess {
  const worlds = inject("worlds")
  const poolId = Number(process.env.VITEST_POOL_ID ?? "1")
  const running = own ?? worlds[(poolId - 1) % worlds.length]
  if (!running) throw new Error("no world was started for this process of tests")
  return running
}

/** From here on this file speaks to a world of its own (start-world.ts); null: to the one of all flows again. */
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
}

/** Asks the control server; fails the test when it refuses. */
export async function control<T>(method: string, path: string, body?: unknown): Promise<T> {
  const response = await fetch(`${world().controlUrl}${path}`, {
    method,
    ...(body !== undefined && { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text}`)
  return (text === "" ? null : JSON.parse(text)) as T
}

/** The hourly jobs run at this minute; no test takes as many minutes as are left free before it. */
const HOURLY_MINUTE = 20
const FREE_MINUTES = 6

/** Empties everything, so that a test starts from nothing, and lets no hourly job run by itself in the middle of it. */
export async function reset(): Promise<void> {
  await control("POST", "/reset")
  const minutesLeft = HOURLY_MINUTE - (await worldNow()).getUTCMinutes()
  if (minutesLeft < 0 || minutesLeft > FREE_MINUTES) return
  await advanceClock(`PT${minutesLeft + 1}M`)
  await control("POST", "/reset")
}

/** Moves time for the Worker and QStash; resolves when what fell due is done. */
export const advanceClock = (duration: string): Promise<unknown> => control("POST", "/clock", { advance: duration })

/** The Worker's time. */
export const worldNow = async (): Promise<Date> => new Date((await control<{ now: string }>("GET", "/clock")).now)

export const setFault = (target: string, mode: string): Promise<unknown> => control("POST", "/faults", { target, mode })

export const mailbox = async (): Promise<readonly MailboxMessage[]> =>
  (await control<{ messages: MailboxMessage[] }>("GET", "/mailbox")).messages

export const stats = (): Promise<Readonly<Record<string, number>>> => control("GET", "/stats")

/** Asks the Worker's API as admin. */
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

/** Waits until no job is about to run by the clock: for tests that count what one delivery costs. */
export async function waitBetweenJobs(): Promise<void> {
  const [early, late] = [4, 54]
  await waitFor(async () => {
    const second = (await worldNow()).getUTCSeconds()
    return second >= early && second <= late
  })
}

/** A connection costs more than most that is asked through it. */
const pools = new Map<string, pg.Pool>()

/** Rows straight from Postgres, past row-level security: only to count what the product must have written. */
export async function sql<Row extends pg.QueryResultRow>(
  text: string,
  values: readonly unknown[] = [],
): Promise<Row[]> {
  const { postgresUrl } = world()
  let pool = pools.get(postgresUrl)
  if (!pool) {
    pool = new pg.Pool({ connectionString: postgresUrl, allowExitOnIdle: true })
    pool.on("error", () => {}) // the world ends before we do
    pools.set(postgresUrl, pool)
  }
  return (await pool.query<Row>(text, [...values])).rows
}

/** What is waited for comes within moments; a machine that is busy with other things takes many times as long. */
const PATIENCE_SECONDS = 60
const LOOK_EVERY_MS = 50

/** Waits until `check` answers something, looking again a few times a second; fails after `seconds`. */
export async function waitFor<T>(
  check: () => Promise<T | null | undefined | false>,
  seconds = PATIENCE_SECONDS,
): Promise<T> {
  const until = Date.now() + seconds * 1000
  for (;;) {
    const result = await check()
    if (result) return result
    if (Date.now() > until) throw new Error(`nothing came of it within ${seconds} s`)
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
  }
}

/** What lost every race is left to the sweeper, which comes once a minute to what is a minute old. */
const SETTLED_SECONDS = 130

/** Waits until no event is waiting to be folded. */
export const waitUntilProcessed = (): Promise<true> =>
  waitFor(async () => {
    const [row] = await sql<{ left: string }>("select count(*) as left from webhook_events where status = 'received'")
    return row?.left === "0"
  }, SETTLED_SECONDS)
