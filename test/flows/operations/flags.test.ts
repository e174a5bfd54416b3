/** Switches and flags: who may set them, for which companies, how soon they hold, and that nothing is lost. */
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { bucketOf, FLAG_NAMES } from "../../../shared/domain/flags.ts"
import { addCompany, newApiKey } from "../../support/actions/companies.ts"
import { setFlagInRedis } from "../../support/actions/flags.ts"
import { failPayment, messages } from "../../support/actions/members.ts"
import { fresh } from "../../support/events/providers.ts"
import { putFlag, setSwitchForAll } from "../../support/world/external-services.ts"
import {
  advanceClock,
  api,
  mailbox,
  reset,
  setFault,
  settle,
  sql,
  waitFor,
  waitUntilProcessed,
  world,
} from "../../support/world/world.ts"

beforeEach(async () => {
  await reset()
  await api("/api/flags") // the isolate caches the last test's flags for five seconds
})
afterEach(() => setFault("qstash", "off"))

const A = world().companyId

interface FlagBody extends Record<string, unknown> {
  readonly name: string
  readonly isOn: boolean
}

const readFlag = async (name: string, key?: string) =>
  (await api<FlagBody>(`/api/flags/${name}`, key === undefined ? {} : { key })).body

const changesOf = async (name: string, query = "", key?: string) =>
  (
    await api<{ data: Record<string, unknown>[]; nextCursor: string | null }>(
      `/api/flags/${name}/changes${query}`,
      key === undefined ? {} : { key },
    )
  ).body

describe("the API", () => {
  test("lists all flags with what holds by default, for an operator and for a company's admin", async () => {
    for (const key of [world().adminApiKey, await newApiKey("admin")]) {
      const { status, body } = await api<{ data: FlagBody[]; nextCursor: null }>("/api/flags", { key })
      expect([status, body.data.length, body.nextCursor]).toEqual([200, FLAG_NAMES.length, null])
      expect(body.data[0]).toEqual({
        ...{ name: "WEBHOOK_PROCESSING_ENABLED", enabled: true, percentage: 100, allow: [], deny: [] },
        ...{ isDefault: true, updatedAt: null, updatedBy: null, reason: null },
        ...{ isOn: true, because: "STATIC", source: "redis" },
      })
      expect(body.data.filter(({ isOn }) => isOn).map(({ name }) => name)).toEqual([
        "WEBHOOK_PROCESSING_ENABLED",
        "SCHEDULER_ENABLED",
        "NOTIFICATIONS_ENABLED",
      ])
    }
  })

  test("flags are set by operators only, read by admins only, and other names are unknown", async () => {
    const status = async (method: "GET" | "PUT", key: string, name = "BI_DASHBOARD_V2") =>
      method === "GET"
        ? (await api(`/api/flags/${name}`, { key })).status
        : (await putFlag(name, { enabled: true }, key)).status
    for (const role of ["success-analyst", "success-manager"] as const) {
      const key = await newApiKey(role)
      expect([await status("GET", key), await status("PUT", key)]).toEqual([403, 403])
    }
    const admin = await newApiKey("admin")
    expect([await status("GET", admin), await status("PUT", admin)]).toEqual([200, 403])
    const operator = world().adminApiKey
    expect([await status("GET", operator), await status("PUT", operator)]).toEqual([200, 200])
    expect(await status("GET", operator, "NO_SUCH_FLAG")).toBe(404)
    expect(await status("PUT", operator, "NO_SUCH_FLAG")).toBe(404)
    expect(await status("PUT", operator, "__proto__")).toBe(404)
    expect((await api("/api/flags/NO_SUCH_FLAG/changes")).status).toBe(404)
    expect(await sql("select name from flag_changes")).toEqual([{ name: "BI_DASHBOARD_V2" }])
  })

  test.each([
    ["nothing", {}],
    ["enabled left out", { percentage: 50 }],
    ["a share below none", { enabled: true, percentage: -1 }],
    ["a share above all", { enabled: true, percentage: 100.5 }],
    ["a share with three decimals", { enabled: true, percentage: 12.345 }],
    ["a share as text", { enabled: true, percentage: "50" }],
    ["something unknown", { enabled: true, isOn: true }],
    ["an invalid company id", { enabled: true, allow: ["not an id"] }],
    ["a company in both lists", { enabled: true, allow: ["a", "b"], deny: ["b"] }],
    ["too many companies", { enabled: true, deny: Array.from({ length: 1_001 }, (_, i) => `c${i}`) }],
    ["a reason that is too long", { enabled: true, reason: "x".repeat(501) }],
    ["a reason with a NUL", { enabled: true, reason: "a\u0000b" }],
  ])("refuses %s", async (_, body) => {
    expect(await putFlag("BI_DASHBOARD_V2", body)).toMatchObject({ status: 400, body: { code: "MALFORMED" } })
    expect(await sql("select 1 from flags")).toEqual([])
  })

  test("takes two full lists of the longest ids, and keeps each id once", async () => {
    const ids = (letter: string) => Array.from({ length: 1_000 }, (_, index) => `${letter}${index}`.padEnd(64, "x"))
    const [allow, deny] = [ids("a"), ids("d")]
    const answer = await putFlag("BI_DASHBOARD_V2", { enabled: true, percentage: 0, allow, deny })
    expect([answer.status, answer.body.storedIn]).toEqual([200, ["redis", "postgres"]])
    expect((await putFlag("BI_DASHBOARD_V2", { enabled: true, allow: ["b", "a", "b"] })).body.allow).toEqual(["a", "b"])
  })

  test("shows every change with who and why, newest first and in pages", async () => {
    await putFlag("BI_DASHBOARD_V2", { enabled: true, percentage: 10, reason: " a first tenth " })
    await putFlag("BI_DASHBOARD_V2", { enabled: true, percentage: 25.5, allow: [A, "another"] })
    await putFlag("ROLLBACK_MODE", { enabled: false })
    const { data } = await changesOf("BI_DASHBOARD_V2")
    const tenth = { enabled: true, percentage: 10, allow: [], deny: [] }
    expect(data).toMatchObject([
      { before: tenth, after: { percentage: 25.5, allow: ["another", A].sort() }, who: "admin", why: null },
      { before: null, after: tenth, who: "admin", why: "a first tenth" },
    ])
    const first = await changesOf("BI_DASHBOARD_V2", "?limit=1")
    const second = await changesOf("BI_DASHBOARD_V2", `?limit=1&cursor=${first.nextCursor}`)
    expect([...first.data, ...second.data]).toEqual(data)
    expect(second.nextCursor).toBeNull()
    expect((await api("/api/flags/BI_DASHBOARD_V2/changes?cursor=nonsense")).status).toBe(400)
  })

  test("shows a company's admin no other company, key or reason", async () => {
    const reason = "for another_company only"
    const allow = ["another_company", A]
    await putFlag("BI_DASHBOARD_V2", { enabled: true, percentage: 0, allow, deny: ["a_third"], reason })
    const admin = await newApiKey("admin")
    const seen = { percentage: 0, allow: [A], deny: [] }
    expect(await readFlag("BI_DASHBOARD_V2", admin)).toMatchObject({
      ...{ ...seen, isOn: true, because: "TARGETING_MATCH", updatedBy: null, reason: null, isDefault: false },
    })
    expect(await readFlag("BI_DASHBOARD_V2")).toMatchObject({ allow, deny: ["a_third"], updatedBy: "admin", reason })
    const { data } = await changesOf("BI_DASHBOARD_V2", "", admin)
    expect(data).toMatchObject([{ before: null, after: seen, who: null, why: null }])
    expect(JSON.stringify(data)).not.toMatch(/another_company|a_third/)
    await addCompany("a_third")
    const elsewhere = await api<FlagBody>("/api/flags/BI_DASHBOARD_V2", { headers: { "x-company-id": "a_third" } })
    expect(elsewhere.body.isOn).toBe(false)
  })
})

describe("a change by another isolate", () => {
  test("holds events within ten seconds", async () => {
    await failPayment(fresh("cus"), fresh("in")) // the isolate reads its flags
    await messages(1)
    await setFlagInRedis("WEBHOOK_PROCESSING_ENABLED", { enabled: false })
    await advanceClock("PT10S")
    const { body } = await failPayment(fresh("cus"), fresh("in"))
    await waitFor(async () => (await api(`/api/events/${body.id}`)).body.status === "held", 3)
  })

  test("refuses a manual nudge and a replay for these companies", async () => {
    const invoice = fresh("in")
    const { body } = await failPayment(fresh("cus"), invoice)
    await messages(1)
    await setFlagInRedis("NOTIFICATIONS_ENABLED", { deny: [A] })
    await setFlagInRedis("WEBHOOK_PROCESSING_ENABLED", { deny: [A] })
    await advanceClock("PT10S")
    const refused = { status: 409, body: { code: "CONFLICT" } }
    expect(await api(`/api/cases/payment_${invoice}/nudge`, { method: "POST" })).toMatchObject(refused)
    expect(await api(`/api/events/${body.id}/replay`, { method: "POST" })).toMatchObject(refused)
    expect(await mailbox()).toHaveLength(1)
  })
})

/** Events of several companies in the order in which they were processed. */
const processed = async () =>
  (
    await sql<{ company: string; type: string; id: string }>(
      "select company_id as company, type, provider_event_id as id from webhook_events where status = 'processed' order by processed_at, received_at",
    )
  ).map(({ company, id }) => ({ company, id }))

const heldCount = async () => (await sql("select 1 from webhook_events where status = 'held'")).length

const sendTo = (companyId: string) =>
  failPayment(fresh("cus"), fresh("in"), {}, companyId === A ? {} : { path: `/api/webhooks/stripe/${companyId}` })

describe("events that were held", () => {
  test("are drained in order of arrival, in several batches", async () => {
    await setSwitchForAll("WEBHOOK_PROCESSING_ENABLED", false)
    await setFault("qstash", "down") // so that no nudges are sent meanwhile
    for (let count = 0; count < 60; count++) await sendTo(A)
    expect(await heldCount()).toBe(60)
    const arrived = await sql<{ id: string }>("select provider_event_id as id from webhook_events order by received_at")
    await settle()
    await setSwitchForAll("WEBHOOK_PROCESSING_ENABLED", true)
    expect((await api("/jobs/sweep", { method: "POST" })).body).toMatchObject({ counts: { events: 60 } })
    expect((await processed()).map(({ id }) => id)).toEqual(arrived.map(({ id }) => id))
  })

  test("of one company stay held while another's are processed", async () => {
    const B = fresh("company")
    await addCompany(B)
    await putFlag("WEBHOOK_PROCESSING_ENABLED", { enabled: true, deny: [B] })
    await sendTo(A)
    const { body } = await sendTo(B)
    await waitUntilProcessed()
    await advanceClock("PT5M")
    expect(await sql("select company_id, status from webhook_events order by status")).toEqual([
      { company_id: B, status: "held" },
      { company_id: A, status: "processed" },
    ])
    await setSwitchForAll("WEBHOOK_PROCESSING_ENABLED", true)
    await advanceClock("PT2M")
    expect(await sql("select status from webhook_events where id = $1", [body.id])).toEqual([{ status: "processed" }])
  })

  test("of one company wait at most twice as long beside another's flood", async () => {
    const B = fresh("company")
    await addCompany(B)
    await setSwitchForAll("WEBHOOK_PROCESSING_ENABLED", false)
    await setFault("qstash", "down")
    for (let count = 0; count < 54; count++) await sendTo(A)
    for (let count = 0; count < 6; count++) await sendTo(B)
    expect(await heldCount()).toBe(60)
    await settle()
    await setSwitchForAll("WEBHOOK_PROCESSING_ENABLED", true)
    await api("/jobs/sweep", { method: "POST" })
    const companies = (await processed()).map(({ company }) => company)
    expect(companies).toHaveLength(60)
    expect(companies.lastIndexOf(B) + 1).toBeLessThanOrEqual(12)
  })
})

test("due nudges are claimed round-robin: a flood of 90 % delays another company's by no more than a factor of two", async () => {
  const B = fresh("company")
  await addCompany(B)
  const insertNudges = (companyId: string, count: number, age: string) =>
    sql(
      `insert into nudges (company_id, id, case_id, customer_id, channel, status, due_at)
        select $1, 'n' || i, 'c', 'u', 'email', 'planned', now() - $3::interval + i * interval '1 millisecond'
        from generate_series(1, $2::int) i`,
      [companyId, count, age],
    )
  await insertNudges(A, 9_000, "2 days")
  await insertNudges(B, 1_000, "2 hours")
  const claim = (companies: readonly string[] | null) =>
    sql<{ company_id: string; id: string }>(
      "select * from claim_due_nudges(now(), now(), 'flow', now() + interval '2 minutes', 500, $1::text[])",
      [companies],
    )
  const taken = []
  for (let claims = 0; claims < 4; claims++) taken.push(...(await claim(null)))
  const ofB = taken.filter(({ company_id }) => company_id === B)
  expect(taken).toHaveLength(2_000)
  expect(ofB.map(({ id }) => id)).toEqual(Array.from({ length: 1_000 }, (_, index) => `n${index + 1}`))
  // Nudges of companies that are off do not block others, even if they are older.
  await sql("update nudges set lease_owner = null, lease_until = null")
  expect(new Set((await claim([B])).map(({ company_id }) => company_id))).toEqual(new Set([B]))
  expect(await claim([])).toEqual([])
})

test("a percentage of the companies is notified, always the same ones; a larger one only adds to them", async () => {
  const companies = Array.from({ length: 6 }, () => fresh("company"))
  for (const id of companies) await addCompany(id)
  const buckets = new Map(companies.map((id) => [id, bucketOf("NOTIFICATIONS_ENABLED", id)]))
  const inOrder = [...companies].sort((a, b) => (buckets.get(a) ?? 0) - (buckets.get(b) ?? 0))
  const [, , lastOn = "", , lastButOne = "", last = ""] = inOrder
  /** The percentage that includes a company and those before it. */
  const upTo = (id: string) => ((buckets.get(id) ?? 0) + 1) / 100
  await putFlag("NOTIFICATIONS_ENABLED", { enabled: true, percentage: upTo(lastOn), deny: [A] })
  for (const id of [...companies, A]) await sendTo(id)
  await waitUntilProcessed()
  await advanceClock("PT30M")
  const notified = async () =>
    (await sql<{ id: string }>("select distinct company_id as id from nudges where status = 'sent'")).map(
      ({ id }) => id,
    )
  expect((await notified()).sort()).toEqual(inOrder.slice(0, 3).sort())

  await putFlag("NOTIFICATIONS_ENABLED", { enabled: true, percentage: upTo(lastButOne), deny: [A] })
  await advanceClock("PT10M")
  expect((await notified()).sort()).toEqual(inOrder.slice(0, 5).sort())

  // ROLLBACK_MODE has the same rule: on for a company stops that company's effects.
  await putFlag("ROLLBACK_MODE", { enabled: true, percentage: 0, allow: [last] })
  await putFlag("NOTIFICATIONS_ENABLED", { enabled: true })
  await advanceClock("PT10M")
  expect((await notified()).sort()).toEqual([...inOrder.slice(0, 5), A].sort())
  await putFlag("ROLLBACK_MODE", { enabled: false })
  await advanceClock("PT10M")
  expect(await mailbox()).toHaveLength(7)
})
