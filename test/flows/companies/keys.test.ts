/** API keys of companies and operators. */
import { beforeEach, describe, expect, test } from "vitest"
import { addCompany, newApiKey } from "../../support/actions/companies.ts"
import { fresh } from "../../support/events/providers.ts"
import { advanceClock, api, reset, sql, waitFor, world, worldNow } from "../../support/world/world.ts"

beforeEach(reset)

interface Key {
  readonly id: string
  readonly key: string
  readonly prefix: string
  readonly role: string
  readonly isValid: boolean
  readonly lastUsedAt: string | null
  readonly oldAcceptedUntil?: string
}

const send = (method: string, path: string, body?: object, key = world().adminApiKey) =>
  api<Key>(path, {
    method,
    key,
    ...(body && { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
  })
const statusWith = async (key: string, path = "/api/cases") => (await api(path, { key })).status
const list = async (path = "/api/keys") => (await api<{ data: Key[] }>(path)).body.data

describe("a company's key", () => {
  test("is shown once, works with its role, and is stored as a hash", async () => {
    const made = await send("POST", "/api/keys", { name: "Support", role: "success-manager" })
    expect(made.status).toBe(201)
    const { key, prefix, id } = made.body
    expect(key).toMatch(/^cs_[A-Za-z0-9_-]{43}$/)
    expect(prefix).toBe(key.slice(0, 11))
    expect([await statusWith(key), await statusWith(key, "/api/flags")]).toEqual([200, 403])
    expect(JSON.stringify(await list())).not.toContain(key)
    expect(await list()).toMatchObject([{ id, prefix, role: "success-manager", isValid: true }])
    const [row] = await sql<{ row: string }>("select to_jsonb(k)::text as row from api_keys k")
    expect(row?.row).not.toContain(key.slice(11))
  })

  test("has its last use recorded, once an hour", async () => {
    const { key } = (await send("POST", "/api/keys", { name: "Busy", role: "success-analyst" })).body
    expect((await list())[0]?.lastUsedAt).toBeNull()
    await statusWith(key)
    const first = await waitFor(async () => (await list())[0]?.lastUsedAt)
    await advanceClock("PT30M")
    await statusWith(key)
    expect((await list())[0]?.lastUsedAt).toBe(first)
    await advanceClock("PT31M")
    await statusWith(key)
    await waitFor(async () => (await list())[0]?.lastUsedAt !== first)
  })

  test("expires when it was said to", async () => {
    const expiresAt = new Date((await worldNow()).getTime() + 3_600_000).toISOString()
    const { key } = (await send("POST", "/api/keys", { name: "Short", role: "admin", expiresAt })).body
    expect(await statusWith(key)).toBe(200)
    await advanceClock("PT1H1M")
    expect(await statusWith(key)).toBe(401)
    expect((await list())[0]?.isValid).toBe(false)
  })

  test("is rotated with an overlap, in which both are valid", async () => {
    const old = (await send("POST", "/api/keys", { name: "CI", role: "admin" })).body
    const made = await send("POST", `/api/keys/${old.id}/rotate`, { overlapHours: 2 })
    expect(made).toMatchObject({ status: 201, body: { role: "admin", oldAcceptedUntil: expect.any(String) } })
    expect([await statusWith(old.key), await statusWith(made.body.key)]).toEqual([200, 200])
    await advanceClock("PT2H1M")
    expect([await statusWith(old.key), await statusWith(made.body.key)]).toEqual([401, 200])
    expect((await send("POST", `/api/keys/${old.id}/rotate`)).status).toBe(409)
  })

  test("is revoked for good", async () => {
    const { key, id } = (await send("POST", "/api/keys", { name: "Lost", role: "admin" })).body
    expect(await statusWith(key)).toBe(200)
    expect((await send("DELETE", `/api/keys/${id}`)).body.isValid).toBe(false)
    expect(await statusWith(key)).toBe(401)
    expect((await send("POST", `/api/keys/${id}/rotate`)).status).toBe(409)
  })

  test("of one company is not seen, rotated or revoked by another", async () => {
    const B = fresh("company")
    await addCompany(B)
    const { id, key } = (await send("POST", "/api/keys", { name: "A", role: "admin" })).body
    const other = await newApiKey("admin", B)
    expect((await api<{ data: { id: string }[] }>("/api/keys", { key: other })).body.data).toHaveLength(1)
    expect((await send("DELETE", `/api/keys/${id}`, undefined, other)).status).toBe(404)
    expect((await send("POST", `/api/keys/${id}/rotate`, {}, other)).status).toBe(404)
    expect(await statusWith(key)).toBe(200)
  })

  test("is managed by admins, and never of a role above theirs", async () => {
    const admin = await newApiKey("admin")
    expect((await send("POST", "/api/keys", { name: "x", role: "operator" }, admin)).status).toBe(400)
    for (const role of ["success-analyst", "success-manager"] as const) {
      const key = await newApiKey(role)
      expect([await statusWith(key, "/api/keys"), await statusWith(key, "/api/people")]).toEqual([403, 403])
      expect((await send("POST", "/api/keys", { name: "x", role: "admin" }, key)).status).toBe(403)
    }
    for (const path of ["/api/operator-keys", "/api/companies"]) expect(await statusWith(admin, path)).toBe(403)
    expect((await send("POST", "/api/operator-keys", { name: "x" }, admin)).status).toBe(403)
  })
})

describe("an operator's key", () => {
  test("does what ADMIN_API_KEY does, under its own name", async () => {
    const B = fresh("company")
    await addCompany(B)
    const { key, id, role } = (await send("POST", "/api/operator-keys", { name: "Grace" })).body
    expect(role).toBe("operator")
    expect([await statusWith(key), await statusWith(key, "/api/operator-keys")]).toEqual([200, 200])
    expect((await api("/api/cases", { key, headers: { "x-company-id": B } })).status).toBe(200)
    await send("POST", "/api/companies", { id: fresh("company"), name: "By Grace" }, key)
    await send("POST", "/api/operator-keys", { name: "Hopper" }, key)
    expect(await sql("select created_by from api_keys where name = 'Hopper'")).toEqual([{ created_by: id }])
    expect((await send("DELETE", `/api/operator-keys/${id}`)).status).toBe(200)
    expect(await statusWith(key)).toBe(401)
  })

  test("is not among a company's keys, nor a company's among the operators'", async () => {
    const operator = (await send("POST", "/api/operator-keys", { name: "Grace" })).body
    const own = (await send("POST", "/api/keys", { name: "A", role: "admin" })).body
    expect((await list()).map(({ id }) => id)).toEqual([own.id])
    expect((await list("/api/operator-keys")).map(({ id }) => id)).toEqual([operator.id])
    expect((await send("DELETE", `/api/keys/${operator.id}`)).status).toBe(404)
    expect((await send("DELETE", `/api/operator-keys/${own.id}`)).status).toBe(404)
  })
})
