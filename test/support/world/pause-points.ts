/**
 * Gates inside database functions: a session that comes to one waits until the test opens it, so that a test decides which
 * commit comes between two statements of another session.
 */
import pg from "pg"
import { sql, waitFor, world } from "./world.ts"

/** Any number that nothing else locks. */
const GATE = 7_735_519

/** What a function's body does at a gate, for as long as this condition of SQL holds. */
export const pauseWhile = (condition: string): string =>
  `IF ${condition} THEN PERFORM pg_advisory_xact_lock_shared(${GATE}); END IF;`

/** Whether nobody waits at the gate: then the next one does, and those after it go on. */
export const IS_FIRST_TO_PAUSE = `NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = ${GATE} AND NOT granted)`

/** A closed gate. */
export interface PausePoint {
  /** Waits until a session has come to the gate. */
  reached(): Promise<unknown>
  open(): Promise<void>
}

/**
 * Puts a gate into the body of a function and closes it while `run` runs; afterwards the function is as it was. `edit` must
 * change the body: a place that has moved is noticed.
 */
export async function withPausePoint(
  functionName: string,
  edit: (body: string) => string,
  run: (gate: PausePoint) => Promise<void>,
): Promise<void> {
  const [row] = await sql<{ body: string }>("select pg_get_functiondef($1::regproc) as body", [functionName])
  const body = row?.body ?? ""
  const edited = edit(body)
  if (edited === body) throw new Error(`there is no such place in ${functionName}`)
  const holder = new pg.Client({ connectionString: world().postgresUrl })
  await holder.connect()
  let isOpen = false
  const open = async () => {
    if (!isOpen) await holder.query("select pg_advisory_unlock($1)", [GATE])
    isOpen = true
  }
  try {
    await holder.query("select pg_advisory_lock($1)", [GATE])
    await sql(edited)
    await run({ reached: () => waitFor(async () => (await waiting()) > 0), open })
  } finally {
    await open()
    await sql(body)
    await holder.end()
  }
}

async function waiting(): Promise<number> {
  const [row] = await sql<{ count: string }>(
    "select count(*) as count from pg_locks where locktype = 'advisory' and objid = $1 and not granted",
    [GATE],
  )
  return Number(row?.count)
}
