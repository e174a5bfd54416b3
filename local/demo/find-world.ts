/** The world that the demo uses: a running one, or one of its own. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { DEMO_COMPANY, startStack } from "../stack.ts"
import { readDevVars } from "../variables/dev-vars.ts"
import { DemoError, type World } from "./http.ts"

const ROOT = fileURLToPath(new URL("../..", import.meta.url))

/** Longer than the first answer of an idle Worker. */
const PROBE_TIMEOUT_MS = 3_000

const DEFAULT_URL = "http://127.0.0.1:8787"
const DEFAULT_CONTROL_URL = "http://127.0.0.1:8788"

/** The command line's options; null where not given. */
export interface RequestedWorld {
  readonly url: string | null
  readonly control: string | null
  readonly key: string | null
}

export interface FoundWorld {
  readonly world: World
  /** Started for this run, with empty data, and removed after it. */
  readonly isOwn: boolean
  stop(): Promise<void>
}

/**
 * The running world; null when nothing answers. Throws `DemoError` when only a part answers, or a given URL does not.
 */
export async function findRunningWorld({ url, control, key }: RequestedWorld): Promise<FoundWorld | null> {
  const workerUrl = url ?? DEFAULT_URL
  const controlUrl = control ?? DEFAULT_CONTROL_URL
  const [hasWorker, hasControl] = await Promise.all([
    answers(new URL("/api/health/live", workerUrl)),
    answers(new URL("/clock", controlUrl)),
  ])
  if (!hasWorker && !hasControl && url === null && control === null) return null
  if (!hasWorker) throw new DemoError(`No Worker answers at ${workerUrl}.`)
  if (!hasControl) throw new DemoError(`No control server answers at ${controlUrl}.`)

  const vars = readDevVars(ROOT, process.env)
  const apiKey = key ?? vars.ADMIN_API_KEY ?? ""
  const companyId = vars.DEFAULT_COMPANY_ID ?? DEMO_COMPANY
  const world = { workerUrl, controlUrl, apiKey, companyId, secrets: secretsOf(vars) }
  return { world, isOwn: false, stop: async () => {} }
}

/** Starts a world with empty data on free ports. */
export async function startOwnWorld(): Promise<FoundWorld> {
  const dataDir = mkdtempSync(join(tmpdir(), "churn-saver-demo-"))
  const remove = () => rmSync(dataDir, { recursive: true, force: true, maxRetries: 3 })
  process.once("exit", remove) // in case the process ends while the world starts
  try {
    const stack = await startStack({ root: ROOT, env: process.env, dataDir, controlPort: 0, logLevel: "error" })
    const { workerUrl, controlUrl, adminApiKey: apiKey } = stack
    const companyId = stack.vars.DEFAULT_COMPANY_ID ?? DEMO_COMPANY
    return {
      world: { workerUrl, controlUrl, apiKey, companyId, secrets: secretsOf(stack.vars) },
      isOwn: true,
      async stop() {
        try {
          await stack.stop()
        } finally {
          remove()
        }
      },
    }
  } catch (cause) {
    remove()
    throw cause
  }
}

/** During a rotation there are several secrets; the first signs. */
function secretsOf(vars: Readonly<Record<string, string | undefined>>): World["secrets"] {
  const first = (name: string): string => (vars[name] ?? "").split(",")[0]?.trim() ?? ""
  return { stripe: first("STRIPE_WEBHOOK_SECRET"), whop: first("WHOP_WEBHOOK_SECRET") }
}

const answers = (url: URL): Promise<boolean> =>
  fetch(url, { signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) }).then(
    (response) => response.ok,
    () => false,
  )
