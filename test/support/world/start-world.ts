/** A local world for flows: the real Worker in workerd, a real Postgres, and local replacements of external services. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Bundle } from "../../../local/processes/bundle.ts"
import { startStack } from "../../../local/stack.ts"
import { ROOT } from "../../steps.ts"
import { HEARTBEATS } from "./heartbeats.ts"
import type { WorldAccess } from "./world.ts"

const SECRETS = {
  STRIPE_WEBHOOK_SECRET: "whsec_flows_stripe_secret_new,whsec_flows_stripe_secret_old",
  WHOP_WEBHOOK_SECRET: "ws_flows_whop_secret_0123456789",
  ADMIN_API_KEY: "flows_admin_key_0123456789",
  DEFAULT_COMPANY_ID: "flows_company",
  ENCRYPTION_KEYS: `v1:${Buffer.alloc(32, 7).toString("base64")}`,
  TOKEN_SIGNING_KEYS: `v1:${Buffer.alloc(32, 9).toString("base64")}`,
}

/** In the daytime for most of a run, whatever the machine's time. */
const START_TIME = "08:30:00"

export interface StartedWorld {
  readonly access: WorldAccess
  stop(): Promise<void>
}

/**
 * Starts a world in a new folder; `vars` are added to those of every flow. It serves `bundle`, or null: the Worker with its
 * static files, as `npm start` does.
 */
export async function startFlowsWorld(
  bundle: Bundle | null,
  vars: Readonly<Record<string, string>> = {},
): Promise<StartedWorld> {
  const dataDir = mkdtempSync(join(tmpdir(), "churn-saver-flows-"))
  const world = await startStack({
    ...{ root: ROOT, env: SECRETS, vars, dataDir, controlPort: 0, logLevel: "none" },
    ...{ isTemporary: true, heartbeats: HEARTBEATS, startTime: START_TIME, ...(bundle && { bundle }) },
  })
  return {
    access: {
      workerUrl: world.workerUrl,
      scheduledUrl: world.worker().scheduledUrl,
      bundle,
      controlUrl: world.controlUrl,
      postgresUrl: world.postgres().adminUrl,
      adminApiKey: world.adminApiKey,
      companyId: SECRETS.DEFAULT_COMPANY_ID,
      vars: { ...world.vars },
    },
    async stop() {
      await world.stop()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}
