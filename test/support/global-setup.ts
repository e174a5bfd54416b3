/** One local world for all flows: the real Worker in workerd, a real Postgres, and stand-ins for everything outside. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { TestProject } from "vitest/node"
import { startStack } from "../../local/stack.ts"
import { ROOT } from "../steps.ts"
import type { WorldAccess } from "./world.ts"

const SECRETS = {
  STRIPE_WEBHOOK_SECRET: "whsec_flows_stripe_secret_new,whsec_flows_stripe_secret_old",
  WHOP_WEBHOOK_SECRET: "ws_flows_whop_secret_0123456789",
  ADMIN_API_KEY: "flows_admin_key_0123456789",
  DEFAULT_COMPANY_ID: "flows_company",
  ENCRYPTION_KEYS: `v1:${Buffer.alloc(32, 7).toString("base64")}`,
  TOKEN_SIGNING_KEYS: `v1:${Buffer.alloc(32, 9).toString("base64")}`,
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dataDir = mkdtempSync(join(tmpdir(), "churn-saver-flows-"))
  const world = await startStack({ root: ROOT, env: SECRETS, dataDir, controlPort: 0, logLevel: "none" })
  const access: WorldAccess = {
    workerUrl: world.workerUrl,
    controlUrl: world.controlUrl,
    postgresUrl: world.postgres().adminUrl,
    adminApiKey: world.adminApiKey,
    companyId: SECRETS.DEFAULT_COMPANY_ID,
    vars: { ...world.vars },
  }
  project.provide("world", access)
  return async () => {
    await world.stop()
    rmSync(dataDir, { recursive: true, force: true })
  }
}
