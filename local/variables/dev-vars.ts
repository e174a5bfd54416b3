import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { parseEnv } from "node:util"

/** Variables that a developer may set, in `.dev.vars` or in the shell. The local world generates all others. */
const NAMES = [
  "STRIPE_WEBHOOK_SECRET",
  "WHOP_WEBHOOK_SECRET",
  "STRIPE_API_KEY",
  "WHOP_API_KEY",
  "STRIPE_MODE",
  "WHOP_MODE",
  "WHOP_ACCOUNTS",
  "ADMIN_API_KEY",
  "DEFAULT_COMPANY_ID",
  "ENCRYPTION_KEYS",
  "TOKEN_SIGNING_KEYS",
  "WEBHOOK_PROCESSING_ENABLED",
  "SCHEDULER_ENABLED",
  "NOTIFICATIONS_ENABLED",
  "ROLLBACK_MODE",
] as const

export type DevVars = Readonly<Partial<Record<(typeof NAMES)[number], string>>>

/**
 * The developer's settings: from `env`, else from `.dev.vars` in `root`, else from the example; blank values count as
 * not set. Random values are only in `.dev.vars`, which `local/bootstrap.mjs` writes.
 */
export function readDevVars(root: string, env: Readonly<Record<string, string | undefined>>): DevVars {
  const sources = [env, readEnvFile(join(root, ".dev.vars")), readEnvFile(join(root, ".dev.vars.example"))]
  const vars: Partial<Record<(typeof NAMES)[number], string>> = {}
  for (const name of NAMES) {
    const value = sources.map((source) => source[name]).find((text) => text !== undefined && text !== "")
    if (value !== undefined) vars[name] = value
  }
  return vars
}

const readEnvFile = (file: string): Readonly<Record<string, string | undefined>> =>
  existsSync(file) ? parseEnv(readFileSync(file, "utf8")) : {}
