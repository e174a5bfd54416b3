/** The environments of `wrangler.toml`: nothing has effects before the launch. */
import { fileURLToPath } from "node:url"
import { describe, expect, test } from "vitest"
import { unstable_readConfig as readWranglerConfig } from "wrangler"
import { parseConfig } from "../shared/config.ts"
import { type Environment, FLAG_DEFAULTS, isOffForAll, SWITCH_NAMES } from "../shared/domain/flags.ts"

const CONFIG = fileURLToPath(new URL("../wrangler.toml", import.meta.url))
const KEY = Buffer.alloc(32, 1).toString("base64")

/** The secrets that an operator sets, without switches. */
const SECRETS = {
  DATABASE_URL: "postgresql://app:password@db.example.com/churn?sslmode=require",
  UPSTASH_REDIS_REST_URL: "https://redis.example.com",
  UPSTASH_REDIS_REST_TOKEN: "redis-token",
  QSTASH_TOKEN: "qstash-token",
  QSTASH_CURRENT_SIGNING_KEY: "sig_current_0000000000",
  QSTASH_NEXT_SIGNING_KEY: "sig_next_0000000000000",
  ADMIN_API_KEY: "an-admin-key-of-the-tests",
  ENCRYPTION_KEYS: `v1:${KEY}`,
  TOKEN_SIGNING_KEYS: `v1:${KEY}`,
}

describe.each<[Environment, string]>([
  ["staging", "test"],
  ["production", "live"],
])("%s as it is deployed", (name, mode) => {
  const { vars } = readWranglerConfig({ config: CONFIG, env: name })
  const config = parseConfig({ ...vars, ...SECRETS })

  test("has every launch switch off", () => {
    expect(config.environment).toBe(name)
    for (const flag of SWITCH_NAMES) {
      expect(config.switchDefaults[flag], flag).toBeUndefined()
      expect(isOffForAll(FLAG_DEFAULTS[name][flag]), flag).toBe(true)
    }
  })

  test(`takes events of mode ${mode} only`, () => {
    expect([config.providers.stripe.mode, config.providers.whop.mode]).toEqual([mode, mode])
    expect(config.providers.whop.accounts).toBe("registered")
  })
})
