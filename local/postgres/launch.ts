import { type ChildProcess, execFile, spawn } from "node:child_process"
import { closeSync, existsSync, openSync, readFileSync } from "node:fs"
import { chmod, mkdir, readFile, rename, rm } from "node:fs/promises"
import { dirname, join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { promisify } from "node:util"
import type { PostgresBinaries, Unprivileged } from "./binaries.ts"

/** The parameters of all steps of a start. `dir` is absolute. */
export type Launch = {
  readonly dir: string
  readonly binaries: PostgresBinaries
  readonly unprivileged: Unprivileged
}

/** The superuser of every cluster. */
export const ADMIN = "postgres"

/** Three roles with 30 connections each, and some for migrations and tests. */
const CONNECTIONS_MAX = 100
/** A server whose owner was killed is shutting down; this is how long it may take. */
const PREDECESSOR_TIMEOUT_MS = 10_000
/** A fast shutdown takes milliseconds; after this time the server is killed. */
const STOP_TIMEOUT_MS = 10_000
const POLL_MS = 10

/** Creates an empty cluster in `dir` if there is none. An interrupted first start leaves no incomplete `dir`. */
export async function initialize({ dir, binaries, unprivileged: { prefix, owner } }: Launch): Promise<void> {
  if (!existsSync(join(dir, "PG_VERSION"))) {
    const draft = `${dir}.new`
    await mkdir(dirname(dir), { recursive: true })
    await rm(draft, { recursive: true, force: true })
    await mkdir(draft, { mode: 0o700 })
    if (owner) await assignTo(owner, draft)
    const flags = ["-U", ADMIN, "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"]
    const [command = "", ...args] = [...prefix, binaries.initdb, "-D", draft, ...flags]
    await promisify(execFile)(command, args, { cwd: draft, ...owner })
    await rename(draft, dir)
  }
  await chmod(dir, 0o700) // Postgres refuses a directory that others can read
  if (owner) await assignTo(owner, dir)
}

async function assignTo({ uid, gid }: { uid: number; gid: number }, dir: string): Promise<void> {
  await promisify(execFile)("chown", ["-R", `${uid}:${gid}`, dir])
}

/**
 * Waits until a server that still uses `dir` has ended, and throws when it does not end. A lock file whose process id
 * now belongs to another program is removed, since Postgres would take that program for a running server.
 */
export async function waitForPreviousServer(dir: string): Promise<void> {
  const deadlineMs = Date.now() + PREDECESSOR_TIMEOUT_MS
  for (;;) {
    const pid = postmasterPid(dir)
    if (pid === undefined || !isAlive(pid)) return
    if (!(await isPostgres(pid))) return rm(lockFile(dir), { force: true })
    if (Date.now() > deadlineMs) throw new Error(`process ${pid} already runs Postgres in this data directory`)
    await sleep(POLL_MS)
  }
}

/** The process id in the lock file of `dir`, or `undefined` when there is none. The process need not be alive. */
export function postmasterPid(dir: string): number | undefined {
  if (!existsSync(lockFile(dir))) return undefined
  const pid = Number.parseInt(readFileSync(lockFile(dir), "utf8"), 10)
  return Number.isNaN(pid) ? undefined : pid
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"
  }
}

async function isPostgres(pid: number): Promise<boolean> {
  try {
    const command =
      process.platform === "linux"
        ? await readFile(`/proc/${pid}/cmdline`, "utf8")
        : (await promisify(execFile)("ps", ["-o", "command=", "-p", String(pid)])).stdout
    return command.includes("postgres")
  } catch {
    return false // ended meanwhile
  }
}

/**
 * The shell reads our pipe: when it closes, because we stop or crash, Postgres is stopped. So no crash of ours leaves a
 * server running. When Postgres ends first the watcher is killed, so that it cannot signal another process with the
 * same id.
 */
const STOP_WITH_PARENT = `
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
trap "" INT TERM HUP
{ cat <&3 >/dev/null; kill -INT $server; } &
watcher=$!
exec 3<&-
wait $server
status=$?
kill -KILL $watcher
exit $status
`

/** Starts the server process and returns at once; `readLog` returns its output. */
export function launch(
  { dir, binaries, unprivileged: { prefix, owner } }: Launch,
  { port, durable }: { readonly port: number; readonly durable: boolean },
): ChildProcess {
  const settings = [
    "listen_addresses=127.0.0.1",
    `max_connections=${CONNECTIONS_MAX}`,
    "timezone=UTC",
    "log_timezone=UTC",
    // Committed data survive any end of the server; a power failure only if `durable`.
    ...(durable ? [] : ["fsync=off", "full_page_writes=off"]),
  ].flatMap((setting) => ["-c", setting])
  const server = [...prefix, binaries.postgres, "-D", dir, "-p", String(port), "-k", "", ...settings]
  const [command = "", ...args] =
    process.platform === "win32" ? server : ["sh", "-c", STOP_WITH_PARENT, "postgres", ...server]

  // To a file: a pipe that is not read in time would block the server.
  const log = openSync(logFile(dir), "w")
  try {
    // A separate session: Ctrl-C in the terminal must not stop the database before the rest has shut down.
    const child = spawn(command, args, { cwd: dir, stdio: ["pipe", log, log], detached: true, ...owner })
    child.stdin?.on("error", () => {}) // the pipe breaks when the server ends before us; `exit` reports that
    return child
  } finally {
    closeSync(log)
  }
}

/** Stops a launched server, closing open connections, and resolves when it has ended. */
export async function stopServer(child: ChildProcess, dir: string): Promise<void> {
  if (hasExited(child)) return
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()))
  const stuck = setTimeout(() => {
    const pid = postmasterPid(dir)
    if (pid !== undefined && isAlive(pid)) process.kill(pid, "SIGKILL")
  }, STOP_TIMEOUT_MS)
  child.stdin?.end()
  if (process.platform === "win32") child.kill()
  await exited
  clearTimeout(stuck)
}

/** Whether the process ended or was never started. */
export function hasExited(child: ChildProcess): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null
}

/** The server's output since its launch. */
export function readLog(dir: string): string {
  return existsSync(logFile(dir)) ? readFileSync(logFile(dir), "utf8") : ""
}

const logFile = (dir: string): string => join(dir, "server.log")
const lockFile = (dir: string): string => join(dir, "postmaster.pid")
