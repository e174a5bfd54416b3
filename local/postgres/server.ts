import type { ChildProcess } from "node:child_process"
import { resolve } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import pg from "pg"
import { freePort } from "../loopback.ts"
import { asUnprivilegedUser, findPostgresBinaries } from "./binaries.ts"
import {
  ADMIN,
  hasExited,
  initialize,
  launch,
  postmasterPid,
  readLog,
  stopServer,
  waitForPreviousServer,
} from "./launch.ts"

/** A running Postgres 18. */
export type Postgres = {
  readonly port: number
  /** The superuser in `churn_saver`. */
  readonly adminUrl: string
  /** Process id of the postmaster, so that a test can kill it. */
  readonly pid: number
  /** Resolves when the server has ended, through `stop` or otherwise. Never rejects. */
  readonly exited: Promise<void>
  /** A connection URL for `user` (any role, without password) in `database`, by default `churn_saver`. */
  url(user: string, database?: string): string
  /** Stops the server, closing open connections, and resolves when it has ended. May be called twice. */
  stop(): Promise<void>
}

export type PostgresOptions = {
  /** Created if missing; its data is kept. */
  readonly dataDir: string
  /** Default: a free one. */
  readonly port?: number
  /** Whether commits survive a power failure. Off by default: commits are about twice as fast without. */
  readonly durable?: boolean
}

const DATABASE = "churn_saver"

/** Recovery after a crash replays the log first, which takes seconds for a busy day. */
const START_TIMEOUT_MS = 30_000
const POLL_MS = 10
const RETRY_MS = 100

/**
 * Starts Postgres on 127.0.0.1, with all roles trusted and the database `churn_saver`, and resolves when it accepts
 * queries. Works on a new directory and after a clean stop or a crash. Rejects with the end of the server log when it
 * does not start, and when another server keeps running on the same directory.
 */
export async function startPostgres({ dataDir, port, durable = false }: PostgresOptions): Promise<Postgres> {
  const dir = resolve(dataDir)
  const context = { dir, binaries: findPostgresBinaries(), unprivileged: asUnprivilegedUser() }
  await initialize(context)
  await waitForPreviousServer(dir)

  const deadlineMs = Date.now() + START_TIMEOUT_MS
  for (;;) {
    const chosenPort = port ?? (await freePort())
    const child = launch(context, { port: chosenPort, durable })
    try {
      await waitUntilReady(child, dir, deadlineMs)
      await createDatabase(chosenPort)
      return handle(child, dir, chosenPort)
    } catch (cause) {
      await stopServer(child, dir)
      const log = readLog(dir)
      if (Date.now() > deadlineMs || !isTemporaryFailure(log, port)) {
        throw new Error(`Postgres did not start:\n${log.slice(-2_000)}`, { cause })
      }
      await sleep(RETRY_MS)
    }
  }
}

/** Temporary errors: backends of a killed server end with a delay, and a free port may be taken before it is bound. */
function isTemporaryFailure(log: string, fixedPort: number | undefined): boolean {
  if (log.includes("pre-existing shared memory block")) return true
  return fixedPort === undefined && log.includes("could not create any TCP/IP sockets")
}

/** Checks the server's own log, since another program may answer on the port. */
async function waitUntilReady(child: ChildProcess, dir: string, deadlineMs: number): Promise<void> {
  let spawnError: Error | undefined
  child.once("error", (error) => {
    spawnError = error
  })
  while (!readLog(dir).includes("ready to accept connections")) {
    if (spawnError) throw spawnError
    if (hasExited(child)) throw new Error(`ended with ${child.exitCode ?? child.signalCode}`)
    if (Date.now() > deadlineMs) throw new Error(`not ready after ${START_TIMEOUT_MS} ms`)
    await sleep(POLL_MS)
  }
}

async function createDatabase(port: number): Promise<void> {
  const client = new pg.Client(urlFor(port, ADMIN, "postgres"))
  await client.connect()
  try {
    const found = await client.query("select from pg_database where datname = $1", [DATABASE])
    if (found.rowCount === 0) await client.query(`create database ${DATABASE}`)
  } finally {
    await client.end()
  }
}

function handle(child: ChildProcess, dir: string, port: number): Postgres {
  const pid = postmasterPid(dir)
  if (pid === undefined) throw new Error("Postgres is ready but has no lock file")
  return {
    port,
    adminUrl: urlFor(port, ADMIN, DATABASE),
    pid,
    exited: new Promise((done) => (hasExited(child) ? done() : child.once("exit", () => done()))),
    url: (user, database = DATABASE) => urlFor(port, user, database),
    stop: () => stopServer(child, dir),
  }
}

const urlFor = (port: number, user: string, database: string): string =>
  `postgres://${encodeURIComponent(user)}@127.0.0.1:${port}/${encodeURIComponent(database)}`
