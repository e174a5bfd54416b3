/** A data directory is used by one world at a time: two Postgres servers on the same files destroy them. */
import { execFileSync } from "node:child_process"
import { randomUUID } from "node:crypto"
import { linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { z } from "zod"

/** A running world uses the directory. */
export class DataDirInUse extends Error {
  readonly pid: number
  constructor(dataDir: string, pid: number) {
    super(
      `Another world (process ${pid}) uses the data directory ${dataDir}. Stop it first, or give this one a directory of its own with --data-dir.`,
    )
    this.name = "DataDirInUse"
    this.pid = pid
  }
}

/**
 * Holds the directory until `stop`. A process that ends without it leaves a lock that the next one recognises as stale.
 */
export interface DataDirLock {
  stop(): Promise<void>
}

const LOCK_FILE = "world.lock"

/** Several processes that find the same stale lock need a few rounds. */
const ROUNDS_MAX = 20

/** `startedAt` distinguishes a process from a later one with the same id; null where the system does not provide it. */
const lock = z.object({ pid: z.int().positive(), startedAt: z.string().nullable(), token: z.string() })
type Lock = z.infer<typeof lock>

/** Locks the directory, which is created if missing. Throws `DataDirInUse` when another world has it. */
export function lockDataDir(dataDir: string): DataDirLock {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  const file = join(dataDir, LOCK_FILE)
  const own: Lock = { pid: process.pid, startedAt: startOf(process.pid), token: randomUUID() }
  const draft = `${file}.${own.token}`
  writeFileSync(draft, JSON.stringify(own), { mode: 0o600 })
  try {
    for (let round = 0; !tryLink(draft, file); round++) {
      const holder = readLock(file)
      if (holder !== null && (isRunning(holder) || round === ROUNDS_MAX)) throw new DataDirInUse(dataDir, holder.pid)
      if (round === ROUNDS_MAX) throw new Error(`${file} could not be locked; remove it when no world runs`)
      removeStale(file, holder, own.token)
    }
  } finally {
    rmSync(draft, { force: true })
  }
  return {
    async stop() {
      if (readLock(file)?.token === own.token) rmSync(file, { force: true })
    },
  }
}

/** Empties a locked directory; the lock is kept. */
export function emptyDataDir(dataDir: string): void {
  for (const name of readdirSync(dataDir)) {
    if (!name.startsWith(LOCK_FILE)) rmSync(join(dataDir, name), { recursive: true, force: true })
  }
}

/** Creating a link is atomic, and only one process succeeds. */
function tryLink(draft: string, file: string): boolean {
  try {
    linkSync(draft, file)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false
    throw error
  }
}

/** Null when there is none or it is invalid; a link never shows an incomplete lock. */
function readLock(file: string): Lock | null {
  try {
    return lock.safeParse(JSON.parse(readFileSync(file, "utf8"))).data ?? null
  } catch {
    return null
  }
}

/** Renames first: between reading and removing another process may have created its own lock. */
function removeStale(file: string, stale: Lock | null, token: string): void {
  const aside = `${file}.${token}.stale`
  try {
    renameSync(file, aside)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return
    throw error
  }
  if (readLock(aside)?.token !== stale?.token) tryLink(aside, file)
  rmSync(aside, { force: true })
}

const isRunning = ({ pid, startedAt }: Lock): boolean => {
  if (!isAlive(pid)) return false
  const runsSince = startOf(pid)
  return startedAt === null || runsSince === null || runsSince === startedAt
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"
  }
}

/** The start of a process, in the system's format; null where it is not available. A zombie counts as ended. */
function startOf(pid: number): string | null {
  try {
    if (process.platform === "linux") {
      // After the name in parentheses, which may contain anything: the state is the first field, the start the
      // twentieth.
      const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(")").at(-1)?.trim().split(" ") ?? []
      if (fields[0] === "Z") return "ended"
      return `${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()} ${fields[19]}`
    }
    if (process.platform === "win32") return null
    return execFileSync("ps", ["-o", "lstart=", "-p", String(pid)], { encoding: "utf8" }).trim() || null
  } catch {
    return null
  }
}
