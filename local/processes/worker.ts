import { execFile } from "node:child_process"
import type { EventEmitter } from "node:events"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { LOOPBACK } from "../loopback.ts"

/** A running Worker. */
export type RunningWorker = {
  readonly url: string
  /** Where a request with `cron` and `time` in its query runs a Cron Trigger; null: nowhere. */
  readonly scheduledUrl: string | null
  /** Its processes, so that a test can kill them; empty where they cannot be listed. */
  readonly pids: readonly number[]
  /**
   * Resolves when one of its processes has ended: wrangler restarts that one, but not its connections to the others.
   */
  readonly exited: Promise<void>
  stop(): Promise<void>
}

/** The deployed configuration. */
export const WRANGLER_CONFIG = fileURLToPath(new URL("../../wrangler.toml", import.meta.url))

/** Building and starting takes about a second, and much longer on a machine under load. */
const START_TIMEOUT_MS = 60_000

/**
 * Runs the Worker of `wrangler.toml` in workerd, with `vars` in addition to that file's variables. Wrangler makes no
 * requests to other hosts and keeps its files in `stateDir`. Rejects with the build's error when the Worker does not
 * start.
 */
export async function startWorker(
  vars: Readonly<Record<string, string>>,
  {
    port,
    stateDir,
    config = WRANGLER_CONFIG,
    watch = false,
    logLevel = "warn",
  }: {
    readonly port: number
    readonly stateDir: string
    readonly config?: string
    /** Builds again when a source file changes. */
    readonly watch?: boolean
    readonly logLevel?: "debug" | "info" | "log" | "warn" | "error" | "none"
  },
): Promise<RunningWorker> {
  configureWrangler(stateDir, logLevel)
  const { unstable_DevEnv: DevEnv } = await import("wrangler") // after its environment is set
  const others = await ownRuntimes()
  const environment = new DevEnv()
  const built = waitUntilBuilt(environment)
  try {
    const worker = await environment.startWorker({
      config,
      bindings: Object.fromEntries(Object.entries(vars).map(([name, value]) => [name, { type: "plain_text", value }])),
      dev: {
        server: { hostname: LOOPBACK, port },
        inspector: false,
        watch,
        persist: join(stateDir, "state"),
        logLevel,
      },
    })
    await built
    const url = await worker.url
    const pids = (await ownRuntimes()).filter((pid) => !others.includes(pid))
    const ended = new AbortController()
    return {
      url: url.origin,
      scheduledUrl: new URL("/cdn-cgi/handler/scheduled", url).href,
      pids,
      exited: waitUntilOneEnds(pids, ended.signal),
      async stop() {
        await worker.dispose()
        ended.abort()
      },
    }
  } catch (cause) {
    await environment.teardown()
    throw new Error(`the Worker did not start: ${reasonOf(cause)}`, { cause })
  }
}

/** The workerd processes that this process has started, for this Worker or others. */
async function ownRuntimes(): Promise<number[]> {
  if (process.platform === "win32") return []
  const { stdout } = await promisify(execFile)("ps", ["-A", "-o", "pid=,ppid=,args="])
  return stdout.split("\n").flatMap((line) => {
    const [, pid, parent, command = ""] = /^\s*(\d+)\s+(\d+)\s+(\S+)/.exec(line) ?? []
    return Number(parent) === process.pid && command.endsWith("workerd") ? [Number(pid)] : []
  })
}

const WATCH_EVERY_MS = 100

/** Resolves when one of the processes has ended, or when `signal` aborts the wait. */
function waitUntilOneEnds(pids: readonly number[], signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setInterval(() => {
      if (!signal.aborted && pids.every(isAlive)) return
      clearInterval(timer)
      resolve()
    }, WATCH_EVERY_MS)
    timer.unref()
  })
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** The server answers before the Worker is built, and requests hang when the build fails. */
function waitUntilBuilt(environment: EventEmitter): Promise<void> {
  const built = new Promise<void>((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`not built within ${START_TIMEOUT_MS / 1_000} s`)), START_TIMEOUT_MS)
    late.unref()
    const fail = (event: { readonly cause?: unknown }): void => reject(event.cause ?? event)
    environment.once("reloadComplete", () => resolve())
    environment.once("buildFailed", fail)
    environment.once("error", fail)
  })
  built.catch(() => {}) // it may reject before it is awaited
  return built
}

/** Wrangler wraps the useful error: the missing file, the line that does not compile. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause === undefined ? error.message : reasonOf(error.cause)
}

/** Disables look-ups, metrics, reports and banners; sets logs, registry and configuration to `stateDir`. */
function configureWrangler(stateDir: string, logLevel: string): void {
  Object.assign(process.env, {
    CLOUDFLARE_CF_FETCH_ENABLED: "false",
    WRANGLER_SEND_METRICS: "false",
    WRANGLER_SEND_ERROR_REPORTS: "false",
    WRANGLER_HIDE_BANNER: "true",
    WRANGLER_LOG: logLevel,
    WRANGLER_LOG_PATH: join(stateDir, "logs"),
    WRANGLER_REGISTRY_PATH: join(stateDir, "registry"),
    WRANGLER_CACHE_DIR: join(stateDir, "cache"),
    XDG_CONFIG_HOME: join(stateDir, "config"),
  })
}
