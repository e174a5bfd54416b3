import { beforeEach, describe, expect, test } from "vitest"
import type { Services } from "../services.ts"
import { authenticate, bearerKey, isAllowed, type Permission, type Role, requirePermission } from "./auth.ts"

const ADMIN_KEY = "an-admin-key-of-some-length"

let lookups = 0
let recordedUses = 0
let nowMs = Date.parse("2026-03-01T10:00:00Z")
let row: Record<string, string | null> | null = null

beforeEach(() => {
  lookups = 0
  recordedUses = 0
  nowMs += 3_600_000
  row = null
})

const services = (defaultCompanyId: string | null = "acme"): Services =>
  // Only the services that authentication uses.
  ({
    config: { access: { adminApiKey: ADMIN_KEY, defaultCompanyId }, limits: { failedAuthPer5Minutes: 10 } },
    sharedLimit: async () => null,
    now: () => new Date(nowMs),
    waitUntil: (work: Promise<unknown>) => void work,
    db: {
      execute: async (query: unknown) => {
        if (JSON.stringify(query).includes("mark_api_key_used")) {
          recordedUses += 1
          return { rows: [] }
        }
        lookups += 1
        return { rows: row === null ? [] : [row] }
      },
    },
  }) as unknown as Services

const headers = (key: string, companyId?: string): Headers =>
  new Headers({ authorization: `Bearer ${key}`, ...(companyId !== undefined && { "x-company-id": companyId }) })

describe("the header", () => {
  test.each([
    ["Bearer abc", "abc"],
    ["bearer abc", "abc"],
    ["Bearer   a.b~c+/=", "a.b~c+/="],
    [null, null],
    ["", null],
    ["Bearer", null],
    ["Bearer ", null],
    ["Basic abc", null],
    ["Bearer a b", null],
    ["Bearer a, Bearer b", null],
    ["Bearer é", null],
    [`Bearer ${"a".repeat(513)}`, null],
  ])("%s", (header, key) => {
    expect(bearerKey(header)).toBe(key)
  })
})

describe("the admin key", () => {
  test("is for the default company, without a look-up", async () => {
    expect(await authenticate(services(), headers(ADMIN_KEY))).toEqual({
      keyId: "admin",
      role: "operator",
      companyId: "acme",
    })
    expect(lookups).toBe(0)
  })

  test("is for any existing company, which is looked up once per cache time", async () => {
    await expect(authenticate(services(), headers(ADMIN_KEY, "other"))).rejects.toMatchObject({ code: "NOT_FOUND" })
    row = { company: "other", closed_at: null }
    for (let times = 0; times < 3; times++) {
      expect((await authenticate(services(), headers(ADMIN_KEY, "other"))).companyId).toBe("other")
    }
    expect(lookups).toBe(2)
  })

  test("is for no closed company", async () => {
    row = { company: "closed", closed_at: "2026-03-01T09:00:00Z" }
    await expect(authenticate(services(), headers(ADMIN_KEY, "closed"))).rejects.toMatchObject({ code: "NOT_FOUND" })
  })

  test("needs a company when there is no default, but not for what is about no company", async () => {
    await expect(authenticate(services(null), headers(ADMIN_KEY))).rejects.toMatchObject({ code: "MALFORMED" })
    const principal = await authenticate(services(null), headers(ADMIN_KEY), { isCompanyNeeded: false })
    expect(principal).toEqual({ keyId: "admin", role: "operator", companyId: "" })
  })

  test.each(["a b", "../x", "", "x".repeat(65)])("refuses %j as a company", async (companyId) => {
    await expect(authenticate(services(), headers(ADMIN_KEY, companyId))).rejects.toMatchObject({ code: "MALFORMED" })
  })

  test("keys of other lengths are unknown", async () => {
    for (const length of [1, 2, ADMIN_KEY.length - 1, ADMIN_KEY.length + 1, 512]) {
      const key = ADMIN_KEY.repeat(30).slice(0, length)
      await expect(authenticate(services(), headers(key))).rejects.toMatchObject({ code: "UNAUTHENTICATED" })
    }
  })
})

describe("a company's key", () => {
  test("is for its own company only", async () => {
    row = { company_id: "acme", id: "k1", role: "success-manager" }
    const known = { keyId: "k1", role: "success-manager", companyId: "acme" }
    expect(await authenticate(services(), headers("own-company"))).toEqual(known)
    expect(await authenticate(services(), headers("own-company", "acme"))).toEqual(known)
    await expect(authenticate(services(), headers("own-company", "other"))).rejects.toMatchObject({ code: "FORBIDDEN" })
  })

  test("is refused once it has expired, also from the cache", async () => {
    row = { company_id: "acme", id: "k3", role: "admin", expires_at: new Date(nowMs + 10_000).toISOString() }
    expect(await authenticate(services(), headers("expiring"))).toMatchObject({ keyId: "k3" })
    nowMs += 10_000
    await expect(authenticate(services(), headers("expiring"))).rejects.toMatchObject({ reason: "key_expired" })
    expect(lookups).toBe(1)
  })

  test("is refused while its company is closed", async () => {
    row = { company_id: "acme", id: "k4", role: "admin", closed_at: "2026-03-01T09:00:00Z" }
    await expect(authenticate(services(), headers("of-a-closed-company"))).rejects.toMatchObject({
      code: "FORBIDDEN",
      reason: "company_closed",
    })
  })

  test("has its use recorded once an hour", async () => {
    row = { company_id: "acme", id: "k5", role: "success-analyst" }
    for (const passedMs of [0, 1_000, 3_598_999]) {
      nowMs += passedMs
      await authenticate(services(), headers("busy"))
    }
    expect(recordedUses).toBe(1)
    nowMs += 1
    await authenticate(services(), headers("busy"))
    expect(recordedUses).toBe(2)
  })

  test("without a company is an operator's, for the company that it names", async () => {
    row = { company_id: null, id: "op1", role: "operator", company: "other", closed_at: null }
    const principal = { keyId: "op1", role: "operator", companyId: "acme" }
    expect(await authenticate(services(), headers("of-an-operator"))).toEqual(principal)
    expect(await authenticate(services(), headers("of-an-operator", "other"))).toEqual({
      ...principal,
      companyId: "other",
    })
  })

  test("is looked up once in thirty seconds, known or not", async () => {
    const ask = () => authenticate(services(), headers("stranger")).catch(() => null)
    await ask()
    await ask()
    expect(lookups).toBe(1)
    nowMs += 29_999
    await ask()
    expect(lookups).toBe(1)
    nowMs += 1
    row = { company_id: "acme", id: "k2", role: "success-analyst" }
    expect(await ask()).toMatchObject({ keyId: "k2" })
    expect(lookups).toBe(2)
  })

  test("is looked up again when the clock went back", async () => {
    const ask = () => authenticate(services(), headers("time-traveller")).catch(() => null)
    await ask()
    nowMs -= 10
    await ask()
    expect(lookups).toBe(2)
  })
})

describe("roles", () => {
  const table: readonly (readonly [Permission, readonly Role[]])[] = [
    ["summary:read", ["success-analyst", "success-manager", "admin"]],
    ["cases:read", ["success-analyst", "success-manager", "admin"]],
    ["customers:read", ["success-analyst", "success-manager", "admin"]],
    ["contacts:read", ["success-manager", "admin"]],
    ["events:read", ["success-manager", "admin"]],
    ["settings:read", ["success-manager", "admin"]],
    ["cases:write", ["success-manager", "admin"]],
    ["events:payload", ["admin"]],
    ["events:replay", ["admin"]],
    ["settings:write", ["admin"]],
    ["flags:read", ["admin"]],
    ["reconciliation:read", ["success-manager", "admin"]],
    ["reconciliation:run", ["admin"]],
    ["secrets:read", ["admin"]],
    ["secrets:write", ["admin"]],
    ["flags:write", []],
    ["figures:read", []],
    ["jobs:read", []],
    ["jobs:run", []],
  ]
  test.each(table)("%s belongs to %j, and to the operator", (permission, holders) => {
    const roles: readonly Role[] = ["success-analyst", "success-manager", "admin", "operator"]
    expect(roles.filter((role) => isAllowed(role, permission))).toEqual([...holders, "operator"])
  })

  test("a role that lacks a permission is refused", () => {
    const analyst = { keyId: "k1", role: "success-analyst", companyId: "acme" } as const
    expect(() => requirePermission(analyst, "cases:write")).toThrow(expect.objectContaining({ code: "FORBIDDEN" }))
    expect(() => requirePermission(analyst, "cases:read")).not.toThrow()
  })
})
