/**
 * Pause points in database functions: a session waits there until the test resumes it, so that a test decides which commit
 * comes between two statements of another session.
 */
import pg from "pg"
import { sql, waitFor, world } from "./world.ts"

/** A number that nothing else locks. */
const PAUSE_LOCK = 7_735_519

/** SQL of a pause point that waits while this condition holds. */
export const pauseWhile = (condition: string): string =>
  `IF ${condition} THEN PERFORM pg_advisory_xact_lock_shared(${PAUSE_LOCK}); END IF;`

/** True while no session waits: the first one waits, later ones continue. */
export const IS_FIRST_TO_PAUSE = `NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = ${PAUSE_LOCK} AND NOT granted)`

/** A pause point that is in force. */
export interface PausePoint {
  /** Waits until a session has reached it. */
  reached(): Promise<unknown>
  resume(): Promise<void>
}

/**
 * Puts a pause point into the body of a function while `run` runs, then restores the function. Throws if `edit` does not
 * change the body.
 */
export async function withPausePoint(
  functionName: string,
  edit: (body: string) => string,
  run: (pausePoint: PausePoint) => Promise<void>,
): Promise<void> {
  const [row] = await sql<{ body: string }>("select pg_get_functiondef($1::regproc) as body", [functionName])
  const body = row?.body ?? ""
  const edited = edit(body)
  if (edited === body) throw new Error(`there is no such place in ${functionName}`)
  const holder = new pg.Client({ connectionString: world().postgresUrl })
  await holder.connect()
  let isResumed = false
  const resume = async () => {
    if (!isResumed) await holder.query("select pg_advisory_unlock($1)", [PAUSE_LOCK])
    isResumed = true
  }
  try {
    await holder.query("select pg_advisory_lock($1)", [PAUSE_LOCK])
    await sql(edited)
    await run({ reached: () => waitFor(async () => (await countWaiting()) > 0), resume })
  } finally {
    await resume()
    await sql(body)
    await holder.end()
  }
}

async function countWaiting(): Promise<number> {
  const [row] = await sql<{ count: string }>(
    "select count(*) as count from pg_locks where locktype = 'advisory' and objid = $1 and not granted",
    [PAUSE_LOCK],
  )
  return Number(row?.count)
}
