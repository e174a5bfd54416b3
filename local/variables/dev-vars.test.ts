import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, expect, test } from "vitest"
import { parseConfig } from "../../shared/config.ts"
import { readDevVars } from "./dev-vars.ts"

let root = ""
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "dev-vars-"))
})
afterEach(() => rmSync(root, { recursive: true }))

test("the shell overrides .dev.vars, which overrides the example; blank is not set", () => {
  writeFileSync(
    join(root, ".dev.vars.example"),
    "ADMIN_API_KEY=example\nDEFAULT_COMPANY_ID=demo\nWHOP_WEBHOOK_SECRET=w\n",
  )
  writeFileSync(join(root, ".dev.vars"), "ADMIN_API_KEY=file # a remark\nDEFAULT_COMPANY_ID=file\nUNKNOWN=x\n")
  expect(readDevVars(root, { ADMIN_API_KEY: "shell", DEFAULT_COMPANY_ID: "", HOME: "/" })).toEqual({
    ADMIN_API_KEY: "shell",
    DEFAULT_COMPANY_ID: "file",
    WHOP_WEBHOOK_SECRET: "w",
  })
})

test("without files the variables of the shell are used", () => {
  expect(readDevVars(root, { ROLLBACK_MODE: "true" })).toEqual({ ROLLBACK_MODE: "true" })
})

test("the example is valid for the local world only", () => {
  const ring = `v1:${Buffer.alloc(32).toString("base64")}`
  const example = readDevVars(join(import.meta.dirname, "../.."), { ENCRYPTION_KEYS: ring, TOKEN_SIGNING_KEYS: ring })
  const env = {
    ...example,
    ENVIRONMENT: "local",
    APP_URL: "https://churn.example.com",
    DATABASE_URL: "postgres://app:password@db.example.com/churn",
    UPSTASH_REDIS_REST_URL: "https://redis.example.com",
    UPSTASH_REDIS_REST_TOKEN: "redis-token",
    QSTASH_TOKEN: "qstash-token",
    QSTASH_CURRENT_SIGNING_KEY: "sig_current_0000000000",
    QSTASH_NEXT_SIGNING_KEY: "sig_next_0000000000000",
  }
  expect(parseConfig(env).access.defaultCompanyId).toBe("demo_company")
  expect(() => parseConfig({ ...env, ENVIRONMENT: "production" })).toThrow(
    /STRIPE_WEBHOOK_SECRET.*\n.*WHOP_WEBHOOK_SECRET.*\n.*ADMIN/,
  )
})
