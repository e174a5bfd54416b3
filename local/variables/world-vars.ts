import { randomBytes } from "node:crypto"
import { WHOP_BASE_PATH } from "../provider-apis/whop.ts"
import type { Secrets } from "./secrets.ts"

/** The addresses of a world's servers. */
export type Addresses = {
  readonly app: string
  readonly control: string
  readonly databaseUrl: string
  readonly databaseFetchEndpoint: string
  readonly redis: string
  readonly qstash: string
  readonly stripe: string
  readonly whop: string
  readonly sendgrid: string
  readonly twilio: string
  readonly slack: string
  readonly openRouter: string
}

/** A key ring with one version, in the configuration's form. */
const keyRing = (): string => `v1:${randomBytes(32).toString("base64")}`

const token = (): string => randomBytes(9).toString("base64url")

/** The secrets that the Worker and the local replacements share. */
export function worldSecrets(secrets: Secrets) {
  return {
    redisToken: secrets.get("redis-token"),
    qstashToken: secrets.get("qstash-token"),
    currentSigningKey: secrets.get("qstash-current-signing-key", () => `sig_${randomBytes(21).toString("base64url")}`),
    nextSigningKey: secrets.get("qstash-next-signing-key", () => `sig_${randomBytes(21).toString("base64url")}`),
    stripeApiKey: secrets.get("stripe-api-key", () => `sk_test_${randomBytes(24).toString("hex")}`),
    whopApiKey: secrets.get("whop-api-key"),
    sendgridApiKey: secrets.get("sendgrid-api-key", () => `SG.${randomBytes(32).toString("base64url")}`),
    twilioAccountSid: secrets.get("twilio-account-sid", () => `AC${randomBytes(16).toString("hex")}`),
    twilioAuthToken: secrets.get("twilio-auth-token"),
    openRouterApiKey: secrets.get("openrouter-api-key", () => `sk-or-v1-${randomBytes(32).toString("hex")}`),
    slackPath: secrets.get("slack-path", () => `/services/T${token()}/B${token()}/${token()}`),
  }
}

/** The Worker's variables in a world: a complete configuration that refers only to this machine. */
export function workerVars(at: Addresses, secrets: Secrets): Record<string, string> {
  const known = worldSecrets(secrets)
  return {
    ENVIRONMENT: "local",
    APP_URL: at.app,
    DATABASE_URL: at.databaseUrl,
    DATABASE_FETCH_ENDPOINT: at.databaseFetchEndpoint,
    UPSTASH_REDIS_REST_URL: at.redis,
    UPSTASH_REDIS_REST_TOKEN: known.redisToken,
    QSTASH_URL: at.qstash,
    QSTASH_TOKEN: known.qstashToken,
    QSTASH_CURRENT_SIGNING_KEY: known.currentSigningKey,
    QSTASH_NEXT_SIGNING_KEY: known.nextSigningKey,
    STRIPE_API_KEY: known.stripeApiKey,
    STRIPE_API_URL: at.stripe,
    STRIPE_WEBHOOK_SECRET: secrets.get("stripe-webhook-secret", () => `whsec_${randomBytes(24).toString("hex")}`),
    WHOP_API_KEY: known.whopApiKey,
    WHOP_API_URL: `${at.whop}${WHOP_BASE_PATH}`,
    WHOP_WEBHOOK_SECRET: secrets.get("whop-webhook-secret", () => `ws_${randomBytes(24).toString("hex")}`),
    SENDGRID_API_KEY: known.sendgridApiKey,
    SENDGRID_API_URL: at.sendgrid,
    EMAIL_FROM: "Churn Saver <billing@churn-saver.example>",
    TWILIO_ACCOUNT_SID: known.twilioAccountSid,
    TWILIO_AUTH_TOKEN: known.twilioAuthToken,
    TWILIO_FROM: "+15005550006",
    TWILIO_API_URL: at.twilio,
    SLACK_WEBHOOK_URL: `${at.slack}${known.slackPath}`,
    OPENROUTER_API_KEY: known.openRouterApiKey,
    OPENROUTER_API_URL: `${at.openRouter}/api/v1`,
    OPENROUTER_MODEL: "local/stand-in",
    // The replacement answers at once, so only a fault takes longer.
    OPENROUTER_TIMEOUT_MS: "5000",
    ADMIN_API_KEY: secrets.get("admin-api-key", () => `cs_admin_${randomBytes(24).toString("hex")}`),
    ENCRYPTION_KEYS: secrets.get("encryption-keys", keyRing),
    TOKEN_SIGNING_KEYS: secrets.get("token-signing-keys", keyRing),
    // All cases of the local world get messages, so that they can be seen; a company may set its own share.
    HOLDOUT_PERCENTAGE: "0",
    SUBREQUESTS_MAX: "10000", // the limit of Cloudflare's paid plan
    CLOCK_URL: `${at.control}/clock`,
  }
}
