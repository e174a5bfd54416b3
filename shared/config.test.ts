import { describe, expect, test } from "vitest"
import { parseConfig } from "./config.ts"

const KEY = Buffer.alloc(32, 1).toString("base64")

const DEPLOYED = {
  ENVIRONMENT: "production",
  APP_URL: "https://churn.example.com",
  DATABASE_URL: "postgresql://app:canary-password@db.example.com/churn?sslmode=require",
  UPSTASH_REDIS_REST_URL: "https://redis.example.com",
  UPSTASH_REDIS_REST_TOKEN: "redis-token",
  QSTASH_TOKEN: "qstash-token",
  QSTASH_CURRENT_SIGNING_KEY: "sig_current_0000000000",
  QSTASH_NEXT_SIGNING_KEY: "sig_next_0000000000000",
  ADMIN_API_KEY: "an-admin-key-of-the-tests",
  ENCRYPTION_KEYS: `v1:${KEY}`,
  TOKEN_SIGNING_KEYS: `v1:${KEY},v2:${KEY}`,
}
const LOCAL = { ...DEPLOYED, ENVIRONMENT: "local", APP_URL: "http://127.0.0.1:8787" }

function faultOf(env: Record<string, unknown>): string {
  try {
    parseConfig(env)
  } catch (error) {
    if (error instanceof Error) return error.message
  }
  throw new Error("it should have been refused")
}

test("missing variables take the services' defaults", () => {
  const config = parseConfig(DEPLOYED)
  expect(config.database).toEqual({ url: DEPLOYED.DATABASE_URL, fetchEndpoint: null, timeoutMs: 2_000 })
  expect(config.qstash).toMatchObject({ url: "https://qstash.upstash.io", retriesMax: 3 })
  expect(config.providers).toEqual({
    stripe: { webhookSecrets: [], apiKey: null, apiUrl: "https://api.stripe.com", mode: "live" },
    whop: {
      ...{ webhookSecrets: [], apiKey: null, apiUrl: "https://api.whop.com/api/v1", mode: "live" },
      accounts: "registered",
    },
  })
  expect(config.channels.sendgrid).toMatchObject({ apiKey: null, apiUrl: "https://api.sendgrid.com" })
  expect(Object.values(config.switchDefaults)).toEqual([undefined, undefined, undefined, undefined])
  expect(config.limits).toEqual({
    webhooksPerMinute: 6_000,
    apiPerMinute: 1_000,
    badPerMinute: 60,
    failedAuthPer5Minutes: 10,
    customerEventsPerHour: 1_000,
    linksPerMinute: 600,
  })
  expect(config.keys.tokenSigning.newestVersion).toBe(2)
  expect(config.clock.url).toBeNull()
  expect(config.subrequestsMax).toBe(50)
})

test.each([
  ["production", "live", "registered"],
  ["staging", "test", "registered"],
  ["local", "any", "any"],
])("in %s events of mode %s count, and of accounts that are %s", (ENVIRONMENT, mode, accounts) => {
  const { stripe, whop } = parseConfig({ ...DEPLOYED, ENVIRONMENT }).providers
  expect([stripe.mode, whop.mode, whop.accounts]).toEqual([mode, mode, accounts])
  const other = { STRIPE_MODE: "any", WHOP_MODE: "test", WHOP_ACCOUNTS: "any" }
  const set = parseConfig({ ...DEPLOYED, ENVIRONMENT, ...other }).providers
  expect([set.stripe.mode, set.whop.mode, set.whop.accounts]).toEqual(["any", "test", "any"])
  expect(faultOf({ ...DEPLOYED, ENVIRONMENT, STRIPE_MODE: "sandbox" })).toContain("STRIPE_MODE is wrong")
})

test("a budget of subrequests too small for one nudge is refused", () => {
  expect(parseConfig({ ...DEPLOYED, SUBREQUESTS_MAX: "10000" }).subrequestsMax).toBe(10_000)
  for (const SUBREQUESTS_MAX of ["39", "0", "-1", "many"]) {
    expect(faultOf({ ...DEPLOYED, SUBREQUESTS_MAX })).toContain("SUBREQUESTS_MAX is wrong")
  }
})

test("several webhook secrets are valid at once", () => {
  const config = parseConfig({ ...DEPLOYED, STRIPE_WEBHOOK_SECRET: "whsec_0123456789, whsec_9876543210" })
  expect(config.providers.stripe.webhookSecrets).toEqual(["whsec_0123456789", "whsec_9876543210"])
})

test("one error names all faults, and shows no value", () => {
  const message = faultOf({
    ...DEPLOYED,
    APP_URL: undefined,
    DATABASE_URL: "postgres://app:canary-password@",
    QSTASH_TOKEN: "",
    ADMIN_API_KEY: "canary-short",
    ENCRYPTION_KEYS: "v1:canary",
    ROLLBACK_MODE: "canary",
    STRIPE_WEBHOOK_SECRET: "canary-0123456789,",
    TWILIO_AUTH_TOKEN: "canary-0123456789",
    CLOCK_URL: "http://canary",
    EMAIL_FROM: "canary",
  })
  for (const fault of [
    "APP_URL is missing: expected an https URL",
    "DATABASE_URL is wrong: expected postgres://user:password@host/database",
    "QSTASH_TOKEN is blank",
    "ADMIN_API_KEY is wrong: expected at least 16 characters",
    "ENCRYPTION_KEYS is wrong: expected v<version>:<base64 of 32 bytes>",
    'ROLLBACK_MODE is wrong: expected "true" or "false"',
    "STRIPE_WEBHOOK_SECRET is wrong: expected secrets",
    "TWILIO_ACCOUNT_SID is missing: expected together with TWILIO_AUTH_TOKEN",
    "TWILIO_FROM is missing",
    "CLOCK_URL is wrong: expected to be absent outside ENVIRONMENT=local",
    "EMAIL_FROM is wrong: expected an e-mail address",
  ]) {
    expect(message).toContain(fault)
  }
  expect(message).not.toContain("canary")
})

test.each(Object.keys(DEPLOYED))("%s blank or missing stops the start", (name) => {
  expect(faultOf({ ...DEPLOYED, [name]: "" })).toContain(name)
  expect(faultOf({ ...DEPLOYED, [name]: undefined })).toContain(name)
  expect(faultOf({ ...DEPLOYED, [name]: 7 })).toContain(name)
})

test.each([
  "STRIPE_WEBHOOK_SECRET",
  "WHOP_WEBHOOK_SECRET",
  "STRIPE_API_KEY",
  "SENDGRID_API_KEY",
  "SLACK_WEBHOOK_URL",
  "DEFAULT_COMPANY_ID",
])("%s may be absent, not blank", (name) => {
  expect(faultOf({ ...DEPLOYED, [name]: "" })).toContain(`${name} is blank`)
})

describe("variables for local use only are refused elsewhere", () => {
  test.each([
    ["CLOCK_URL", "http://127.0.0.1:8788/clock"],
    ["DATABASE_FETCH_ENDPOINT", "http://127.0.0.1:4444/sql"],
    ["APP_URL", "http://churn.example.com"],
    ["QSTASH_URL", "http://127.0.0.1:8080"],
    ["STRIPE_API_URL", "http://127.0.0.1:9000"],
    ["STRIPE_WEBHOOK_SECRET", "whsec_local_only_stripe_webhook_secret"],
    ["ADMIN_API_KEY", "local_only_admin_key"],
    ["QSTASH_CURRENT_SIGNING_KEY", "sig_7kYjw48mhY7kAjqNGcy6cr29RJ6r"],
  ])("%s=%s", (name, value) => {
    expect(parseConfig({ ...LOCAL, [name]: value }).environment).toBe("local")
    for (const ENVIRONMENT of ["staging", "production"]) {
      expect(faultOf({ ...DEPLOYED, ENVIRONMENT, [name]: value })).toContain(name)
    }
  })

  test("a database without a password", () => {
    const DATABASE_URL = "postgres://postgres@127.0.0.1:5432/churn"
    expect(parseConfig({ ...LOCAL, DATABASE_URL }).database.url).toBe(DATABASE_URL)
    expect(faultOf({ ...DEPLOYED, DATABASE_URL })).toContain("DATABASE_URL")
  })
})

test.each(["true", "false", ""])("QSTASH_DEV=%s is refused everywhere", (QSTASH_DEV) => {
  expect(faultOf({ ...DEPLOYED, QSTASH_DEV })).toContain("QSTASH_DEV")
  expect(faultOf({ ...LOCAL, QSTASH_DEV })).toContain("QSTASH_DEV")
})

test.each([
  "https://a.example/",
  "https://user:pw@a.example",
  "https://a.example?x=1",
  "ftp://a.example",
  "a.example",
  " https://a.example",
])("%s is no base URL", (url) => {
  expect(faultOf({ ...LOCAL, APP_URL: url })).toContain("APP_URL")
})

test.each(["a b", "", "ü", "x".repeat(65), "a/b"])("%s is not a company id", (id) => {
  expect(faultOf({ ...DEPLOYED, DEFAULT_COMPANY_ID: id })).toContain("DEFAULT_COMPANY_ID")
})

test("SendGrid without a sender is refused", () => {
  expect(faultOf({ ...DEPLOYED, SENDGRID_API_KEY: "SG.0123456789abcdef" })).toContain("EMAIL_FROM is missing")
  const config = parseConfig({
    ...DEPLOYED,
    SENDGRID_API_KEY: "SG.0123456789abcdef",
    EMAIL_FROM: "Billing at Acme <billing@acme.example>",
  })
  expect(config.channels.sendgrid.from).toBe("Billing at Acme <billing@acme.example>")
})
