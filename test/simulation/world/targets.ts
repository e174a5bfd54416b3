/** Addresses and secrets of the simulated world, and the Worker's environment. */
import type { FaultTarget } from "../../../local/faults.ts"
import { workerVars } from "../../../local/variables/world-vars.ts"

const at = (port: number): string => `http://127.0.0.1:${port}`

export const APP_URL = at(4001)
const PORTS = {
  control: 4002,
  postgres: 4003,
  redis: 4004,
  qstash: 4005,
  stripe: 4006,
  whop: 4007,
  sendgrid: 4008,
  twilio: 4009,
  slack: 4010,
} as const

export type Service = keyof typeof PORTS

const SERVICES: ReadonlyMap<string, Service> = new Map(
  // The keys of a literal have its literal types.
  Object.entries(PORTS).map(([name, port]) => [String(port), name as Service]),
)

/** The service with that URL. Throws for any other address. */
export function serviceOf(url: URL): Service {
  const service = SERVICES.get(url.port)
  if (service === undefined || url.hostname !== "127.0.0.1")
    throw new Error(`a call to ${url.origin}, which the simulator does not have`)
  return service
}

/** Secrets of the simulated world, the same in every run. */
const SECRETS: Readonly<Record<string, string>> = {
  "redis-token": "simulated_redis_token_0123456789",
  "qstash-token": "simulated_qstash_token_0123456789",
  "qstash-current-signing-key": "sig_simulated_current_0123456789",
  "qstash-next-signing-key": "sig_simulated_next_0123456789",
  "stripe-api-key": `sk_test_${"ab".repeat(24)}`,
  "whop-api-key": "simulated_whop_key_0123456789",
  "sendgrid-api-key": `SG.${"a".repeat(43)}`,
  "twilio-account-sid": `AC${"0f".repeat(16)}`,
  "twilio-auth-token": "simulated_twilio_token_0123456789",
  "slack-path": "/services/Tsimulated/Bsimulated/simulated",
  "openrouter-api-key": `sk-or-v1-${"c".repeat(64)}`,
  "stripe-webhook-secret": "whsec_simulated_stripe_0123456789",
  "whop-webhook-secret": "ws_simulated_whop_0123456789",
  "admin-api-key": "cs_admin_simulated_0123456789",
  "encryption-keys": `v1:${Buffer.alloc(32, 7).toString("base64")}`,
  "token-signing-keys": `v1:${Buffer.alloc(32, 9).toString("base64")}`,
}

export const secret = (name: string): string => {
  const known = SECRETS[name]
  if (known === undefined) throw new Error(`the simulator has no secret named ${name}`)
  return known
}

/** The companies of the world; the first is the default one. */
export const COMPANIES = ["sim_north", "sim_south"] as const

/** The Worker's environment. */
export const VARS: Readonly<Record<string, string>> = Object.freeze({
  ...workerVars(
    {
      app: APP_URL,
      control: at(PORTS.control),
      databaseUrl: "postgres://churn_worker:unused@127.0.0.1:5432/churn_saver",
      databaseFetchEndpoint: `${at(PORTS.postgres)}/sql`,
      redis: at(PORTS.redis),
      qstash: at(PORTS.qstash),
      stripe: at(PORTS.stripe),
      whop: at(PORTS.whop),
      sendgrid: at(PORTS.sendgrid),
      twilio: at(PORTS.twilio),
      slack: at(PORTS.slack),
      // No step of a run asks for a draft.
      openRouter: at(4011),
    },
    { get: secret },
  ),
  DEFAULT_COMPANY_ID: COMPANIES[0],
  WHOP_COMPANY_ID: "biz_simulated",
  WHOP_EXPERIENCE_ID: "exp_simulated",
})

/** The Worker's time-outs, for the choice of slow answers. */
export const CLIENT_TIMEOUT_MS: Readonly<Record<FaultTarget, number>> = {
  postgres: 2_000,
  redis: 250,
  qstash: 2_000,
  "stripe-api": 8_000,
  "whop-api": 8_000,
  email: 10_000,
  sms: 10_000,
  push: 10_000,
  dm: 10_000,
  slack: 10_000,
  openrouter: 20_000,
}
