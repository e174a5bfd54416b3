/**
 * workerd without wrangler's development server, which costs several times as much as the Worker itself. It answers no static
 * files.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { join, relative } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { freePort, LOOPBACK } from "../loopback.ts"
import type { Bundle } from "./bundle.ts"
import { type RunningWorker, WRANGLER_CONFIG } from "./worker.ts"

/** A Worker in a workerd of its own. */
export interface ServedWorker extends RunningWorker {
  readonly pid: number
  /** Null unless it was asked for. */
  readonly inspectorPort: number | null
}

const START_TIMEOUT_MS = 30_000
const STOP_TIMEOUT_MS = 5_000
const POLL_MS = 20

export interface WorkerdOptions {
  /** Default: a free one. */
  readonly port?: number
  /** Where configuration and error log are written; default: the bundle's folder. */
  readonly stateDir?: string
  /** Opens a port on which Cron Triggers are called. */
  readonly hasCronTriggers?: boolean
  /** Opens V8's inspector, for `heapBytes`. */
  readonly isInspected?: boolean
}

/** Serves a bundle with `vars` as its bindings; resolves when it accepts requests. Its log lines are discarded. */
export async function serveBundle(
  bundle: Pick<Bundle, "dir" | "module">,
  vars: Readonly<Record<string, string>>,
  options: WorkerdOptions = {},
): Promise<ServedWorker> {
  const { stateDir = bundle.dir } = options
  const port = options.port ?? (await freePort())
  const inspectorPort = options.isInspected ? await freePort() : null
  const scheduledPort = options.hasCronTriggers ? await freePort() : null
  mkdirSync(stateDir, { recursive: true, mode: 0o700 })
  const config = join(stateDir, "config.capnp")
  const module = relative(stateDir, join(bundle.dir, bundle.module))
  writeFileSync(config, capnpConfig({ module, vars, port, scheduledPort }), { mode: 0o600 })

  const errorsFile = join(stateDir, "stderr.log")
  const errors = openSync(errorsFile, "w")
  const inspector = inspectorPort === null ? [] : [`--inspector-addr=${LOOPBACK}:${inspectorPort}`]
  const experimental = scheduledPort === null ? [] : ["--experimental"] // for service_binding_extra_handlers
  const child = spawn(workerdBinary(), ["serve", config, ...inspector, ...experimental], {
    stdio: ["ignore", "ignore", errors],
  })
  closeSync(errors)
  const killChild = (): boolean => child.kill("SIGKILL")
  process.once("exit", killChild)
  const exited = new Promise<void>((resolve) => {
    child.once("error", () => resolve())
    child.once("exit", () => resolve())
  })

  async function stop(): Promise<void> {
    const killTimer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS)
    child.kill("SIGTERM")
    await exited
    clearTimeout(killTimer)
    process.off("exit", killChild)
  }

  const url = `http://${LOOPBACK}:${port}`
  try {
    await untilServing(child, url)
  } catch (cause) {
    await stop()
    throw new Error(`workerd does not serve ${bundle.module}:\n${readFileSync(errorsFile, "utf8").slice(-2_000)}`, {
      cause,
    })
  }
  const pid = child.pid ?? 0
  const scheduledUrl = scheduledPort === null ? null : `http://${LOOPBACK}:${scheduledPort}`
  return { url, scheduledUrl, pid, pids: [pid], inspectorPort, exited, stop }
}

/** Resolves when the process answers; throws when it has ended, or takes too long. */
export async function untilServing(child: ChildProcess, url: string): Promise<void> {
  const deadlineMs = Date.now() + START_TIMEOUT_MS
  for (;;) {
    if (child.pid === undefined || child.exitCode !== null) throw new Error("workerd ended")
    try {
      await (await fetch(url)).arrayBuffer()
      return
    } catch (cause) {
      if (Date.now() > deadlineMs) throw new Error(`no answer after ${START_TIMEOUT_MS} ms`, { cause })
      await sleep(POLL_MS)
    }
  }
}

/** The binary that wrangler runs; the CPU time of a wrapper's child would not be counted. */
function workerdBinary(): string {
  const ofWrangler = createRequire(createRequire(import.meta.url).resolve("wrangler"))
  const { default: path } = ofWrangler("workerd") as { readonly default: string }
  return path
}

interface Served {
  /** Its path from the configuration. */
  readonly module: string
  readonly vars: Readonly<Record<string, string>>
  readonly port: number
  readonly scheduledPort: number | null
}

function capnpConfig({ module, vars, port, scheduledPort }: Served): string {
  const bindings = Object.entries(vars).map(([name, value]) => `(name = ${quote(name)}, text = ${quote(value)})`)
  const flags = compatibility("compatibility_flags") ?? "[]"
  const socket = (name: string, at: number): string =>
    `(name = "${name}", address = ${quote(`${LOOPBACK}:${at}`)}, http = (), service = "${name}")`
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "worker", worker = .worker),
    (name = "internet", network = (allow = ["public", "private", "local"], tlsOptions = (trustBrowserCas = true))),
    ${scheduledPort === null ? "" : '(name = "scheduled", worker = .scheduled),'}
  ],
  sockets = [${socket("worker", port)}${scheduledPort === null ? "" : `, ${socket("scheduled", scheduledPort)}`}],
);
const worker :Workerd.Worker = (
  modules = [(name = "worker", esModule = embed ${quote(module)})],
  compatibilityDate = ${compatibility("compatibility_date")},
  compatibilityFlags = ${flags},
  bindings = [${bindings.join(", ")}],
  globalOutbound = "internet",
);
${scheduledPort === null ? "" : SCHEDULED}`
}

/** A Worker whose requests are the other's scheduled events, as those of wrangler's `/cdn-cgi/handler/scheduled`. */
const SCHEDULED = `const scheduled :Workerd.Worker = (
  modules = [(name = "scheduled", esModule = ${JSON.stringify(`export default {
    async fetch(request, { WORKER }) {
      const { searchParams } = new URL(request.url)
      const scheduledTime = new Date(Number(searchParams.get("time")))
      const { outcome } = await WORKER.scheduled({ cron: searchParams.get("cron"), scheduledTime })
      return new Response(outcome, { status: outcome === "ok" ? 200 : 500 })
    }
  }`)})],
  compatibilityDate = "2026-08-22",
  compatibilityFlags = ["service_binding_extra_handlers"],
  bindings = [(name = "WORKER", service = "worker")],
);
`

/** A setting of wrangler.toml as text; TOML and Cap'n Proto write it alike. */
function compatibility(name: string): string | undefined {
  return new RegExp(`^${name}\\s*=\\s*(.+?)\\s*$`, "m").exec(readFileSync(WRANGLER_CONFIG, "utf8"))?.[1]
}

const quote = (text: string): string => JSON.stringify(text)
