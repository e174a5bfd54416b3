/**
 * Scores of customers: their reasons, when they are made again, and who may see them. Over 300 lines because all tests share one
 * model.
 */
import { beforeEach, describe, expect, test } from "vitest"
import { addCompany, newApiKey } from "../../support/actions/companies.ts"
import { failPayment } from "../../support/actions/members.ts"
import { fresh } from "../../support/events/providers.ts"
import {
  cancelSubscription,
  champion,
  logOf,
  modelText,
  type ScoreBody,
  scoreOf,
  send,
  subscriber,
  upload,
} from "../../support/models/scoring.ts"
import { setSwitchForAll } from "../../support/world/external-services.ts"
import { runInProcess } from "../../support/world/run-in-process.ts"
import {
  advanceClock,
  api,
  control,
  reset,
  runHeartbeats,
  settle,
  sql,
  stats,
  waitFor,
  waitUntilProcessed,
  world,
} from "../../support/world/world.ts"

beforeEach(async () => {
  await reset()
  await api("/api/flags") // the isolate caches the last test's flags for five seconds
})

const sum = (parts: readonly { readonly logOdds: number }[], from = 0) =>
  parts.reduce((total, { logOdds }) => total + logOdds, from)

/** Fails a customer's invoice, and waits until it is folded. */
async function fail(customerId: string): Promise<void> {
  await failPayment(customerId.replace(/^stripe_/, ""), fresh("in"))
  await waitUntilProcessed()
}

describe("a score", () => {
  test("has reasons that sum exactly to it and to its change", async () => {
    const id = await champion({ offset: 0.25 })
    const customer = await subscriber()
    const first = await scoreOf(customer)
    expect(first).toMatchObject({ status: "scored", source: "model", model: { id }, change: null, isStored: false })
    expect(sum(first.reasons, first.base)).toBe(first.logOdds)
    expect(sum([...first.reasons].reverse(), first.base)).toBe(first.logOdds)
    expect(1 / (1 + Math.exp(-first.logOdds))).toBeCloseTo(first.probability, 11)
    expect(first.interval.low).toBeLessThanOrEqual(first.probability)
    expect(first.interval.high).toBeGreaterThanOrEqual(first.probability)
    expect(first.reasons.map(({ code }) => code)).toContain("company")
    expect(first.reasons.find(({ code }) => code === "tenure_days")?.label).toBe("days as a paying customer")

    await fail(customer)
    await advanceClock("PT61S")
    const second = await scoreOf(customer, "?fresh=true")
    expect(second.probability).toBeGreaterThan(first.probability)
    expect(second.change).toMatchObject({ since: first.asOf, isOtherModel: false })
    expect(second.change?.logOdds).toBe(second.logOdds - first.logOdds)
    expect(sum(second.change?.reasons ?? [])).toBe(second.change?.logOdds)
    expect(second.change?.reasons[0]?.code).toBe("failed_invoices_30d")

    const other = await champion({ intercept: -1, weights: { tenure_days: -1, failed_attempts_30d: 30 } })
    const third = await scoreOf(customer)
    expect(third).toMatchObject({ model: { id: other }, change: { isOtherModel: true, since: second.asOf } })
    expect(sum(third.change?.reasons ?? [])).toBe(third.logOdds - second.logOdds)
  })

  test("is stored for an hour and its champion, and then costs one round trip", async () => {
    await champion()
    const customer = await subscriber()
    const first = await scoreOf(customer)
    await settle()
    await control("DELETE", "/stats")
    expect(await scoreOf(customer)).toEqual({ ...first, isStored: true })
    expect((await stats()).postgres).toBe(1)
    // Fresh scores are limited to one a minute.
    expect((await scoreOf(customer, "?fresh=true")).isStored).toBe(true)
    await advanceClock("PT61S")
    await settle()
    await control("DELETE", "/stats")
    expect((await scoreOf(customer, "?fresh=true")).isStored).toBe(false)
    expect((await stats()).postgres).toBe(3)
    await advanceClock("PT61M")
    expect((await scoreOf(customer)).isStored).toBe(false)
    await champion({ intercept: -1 })
    expect((await scoreOf(customer)).isStored).toBe(false)
    expect((await logOf(customer)).map(({ trigger }) => trigger)).toEqual(["request", "request", "request", "request"])
  })

  test("is shown with the customer, in lists and in a history, and ends with the subscription", async () => {
    await champion()
    const customer = await subscriber()
    const customers = async () =>
      (await api<{ data: { score: { probability: number } | null }[] }>("/api/customers")).body.data
    expect((await customers())[0]?.score).toBeNull()
    const { probability, riskLevel } = await scoreOf(customer)
    expect((await customers())[0]?.score).toMatchObject({ probability, riskLevel, source: "model" })
    const one = await api<{ score: { probability: number } }>(`/api/customers/${customer}`)
    expect(one.body.score.probability).toBe(probability)
    await advanceClock("PT61S")
    await scoreOf(customer, "?fresh=true")
    type History = { data: { probability: number; asOf: string }[]; nextCursor: string | null }
    const page = (await api<History>(`/api/customers/${customer}/scores?limit=1`)).body
    const rest = (await api<History>(`/api/customers/${customer}/scores?cursor=${page.nextCursor}`)).body
    expect([page.data.length, rest.data.length, rest.nextCursor]).toEqual([1, 1, null])
    expect(page.data[0]?.asOf.localeCompare(rest.data[0]?.asOf ?? "")).toBe(1)

    await cancelSubscription(customer)
    expect(await scoreOf(customer)).toMatchObject({ status: "not_scored", notScored: { reason: "no_paid_access" } })
    expect((await customers())[0]?.score).toBeNull()
    expect(await sql("select not_scored from customer_scores")).toEqual([{ not_scored: "no_paid_access" }])
  })

  test("is not shown where too little is known, with what would be needed", async () => {
    await champion({ weights: { tenure_days: -0.2, usage_2w_ratio: 1, usage_8w_ratio: 1 } })
    const customer = await subscriber()
    const score = await scoreOf(customer)
    expect(score).toMatchObject({ status: "not_scored", probability: null, reasons: [] })
    expect(score.notScored).toMatchObject({ reason: "coverage_too_low", needed: 0.5 })
    expect(score.coverage).toBeCloseTo(1 / 3, 9)
    const list = await api<{ data: { score: unknown }[] }>("/api/customers")
    expect(list.body.data[0]?.score).toBeNull()
  })

  test("of another company's customer is not found", async () => {
    const B = fresh("company")
    await addCompany(B)
    const customer = await subscriber()
    const key = await newApiKey("admin", B)
    expect((await api(`/api/customers/${customer}/score`, { key })).status).toBe(404)
    expect((await api(`/api/customers/${customer}/scores`, { key })).status).toBe(404)
    expect((await send("/api/score", { customerId: customer }, key)).status).toBe(404)
    const batch = await send<{ data: unknown[] }>("/api/score", { items: [{ customerId: customer }] }, key)
    expect(batch.body.data).toMatchObject([{ customerId: customer, status: "failed", error: { code: "NOT_FOUND" } }])
    expect(await sql("select 1 from predictions")).toEqual([])
  })
})

describe("POST /api/score", () => {
  test("scores a hundred at once, in the given order, independently", async () => {
    await champion()
    const customers = await Promise.all(Array.from({ length: 4 }, () => subscriber()))
    const items = Array.from({ length: 100 }, (_, index) => {
      if (index === 7) return { customerId: "nobody" }
      return index % 2 === 0 ? { customerId: customers[index % 4] } : { features: { tenure_days: index } }
    })
    const { status, body } = await send<{ data: (ScoreBody & { error: unknown })[] }>("/api/score", { items })
    expect([status, body.data.length]).toEqual([200, 100])
    for (const [index, answer] of body.data.entries()) {
      if (index === 7) expect(answer).toMatchObject({ customerId: "nobody", error: { code: "NOT_FOUND" } })
      else expect([answer.error, answer.customerId]).toEqual([null, items[index]?.customerId])
    }
    expect((await send("/api/score", { items: [...items, { customerId: "one more" }] })).status).toBe(400)
    const [row] = await sql(
      "select count(*)::int as said, count(distinct customer_id)::int as customers from predictions",
    )
    expect(row).toEqual({ said: 2, customers: 2 })
  })

  test("gives a defined score for any features", async () => {
    await champion()
    const hostile: readonly Record<string, unknown>[] = [
      {},
      { tenure_days: null, failed_invoices_30d: null },
      { tenure_days: 1e308, failed_invoices_30d: -1e308 },
      { tenure_days: "many", price_class: "unheard of", failed_invoices_30d: true },
      { tenure_days: [1], price_class: { a: 1 }, unknown_name: 5, ["x".repeat(500)]: 1 },
      { tenure_days: -0, price_class: "", constructor: 1, toString: 2 },
    ]
    const { status, body } = await send<{ data: ScoreBody[] }>("/api/score", {
      items: hostile.map((features) => ({ features })),
    })
    expect(status).toBe(200)
    for (const said of body.data) {
      if (said.status === "not_scored") expect([said.probability, said.coverage < 0.5]).toEqual([null, true])
      else {
        expect(said.probability).toBeGreaterThan(0)
        expect(said.probability).toBeLessThan(1)
      }
    }
    expect(body.data.map((said) => said.status)[2]).toBe("scored")
    expect(body.data[3]).toMatchObject({ unusable: ["tenure_days", "failed_invoices_30d", "price_class"] })
    expect(body.data[4]?.ignored).toContain("unknown_name")
    // JSON has no NaN, but numbers beyond double; they are refused or count as missing.
    const raw = await api<{ code?: string; status?: string }>("/api/score", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"features":{"tenure_days":1e999,"failed_invoices_30d":2,"price_class":"free"}}',
    })
    expect(JSON.stringify(raw.body)).not.toMatch(/NaN|Infinity/)
    expect([raw.status, raw.body.status]).toEqual([200, "scored"])
  })

  test("refuses empty, ambiguous and too large requests", async () => {
    const wrong = {
      nothing: {},
      "an empty batch": { items: [] },
      "a customer and features at once": { customerId: "a", features: {} },
      "features that are a list": { features: [1] },
      "features that are none": { features: null },
      "an item that is neither": { items: [{ id: "a" }] },
      "a model for a customer": { customerId: "a", model: "v1" },
      "more names than any model has": {
        features: Object.fromEntries(Array.from({ length: 1_001 }, (_, n) => [`f${n}`, 1])),
      },
    }
    for (const [name, body] of Object.entries(wrong)) {
      const { status, body: answer } = await send("/api/score", body)
      expect([name, status, answer.code]).toEqual([name, 400, "MALFORMED"])
    }
  })

  test("scores features by a named model of the registry, and by no other", async () => {
    const { text, sha256 } = await modelText({ features: [{ name: "calls", type: "number" }] })
    await upload(text, "?version=calls-1")
    const said = await send("/api/score", { model: "calls-1", features: { calls: 5 } })
    expect(said).toMatchObject({ status: 200, body: { status: "scored", model: { id: sha256, version: "calls-1" } } })
    expect((await send("/api/score", { model: "calls-2", features: { calls: 5 } })).status).toBe(404)
  })
})

describe("automatic scoring", () => {
  test("follows each event while REAL_TIME_PREDICTIONS is on, and only then", async () => {
    await champion()
    const customer = await subscriber()
    expect(await logOf(customer)).toEqual([])
    await setSwitchForAll("REAL_TIME_PREDICTIONS", true)
    await fail(customer)
    await waitFor(async () => (await logOf(customer)).length === 1)
    await fail(customer)
    await waitFor(async () => (await logOf(customer)).length === 2)
    expect((await logOf(customer)).map(({ trigger }) => trigger)).toEqual(["event", "event"])
    expect((await scoreOf(customer)).isStored).toBe(true)
    await setSwitchForAll("REAL_TIME_PREDICTIONS", false)
    await fail(customer)
    expect(await logOf(customer)).toHaveLength(2)
  })

  test("scores everybody nightly, once, in several steps", async () => {
    await champion()
    const customers = await Promise.all(Array.from({ length: 5 }, () => subscriber()))
    const gone = await subscriber()
    await cancelSubscription(gone)
    const run = async (batch: string, subrequests: string) => {
      const request = new Request(`${world().vars.APP_URL}/jobs/rescore`, {
        method: "POST",
        headers: { authorization: `Bearer ${world().adminApiKey}` },
        body: "{}",
      })
      return runInProcess(request, null, { ML_BATCH_SIZE: batch, SUBREQUESTS_MAX: subrequests })
    }
    const nightlyPass = () =>
      sql("select scored, not_scored, failed from rescore_passes where finished_at is not null order by night")
    expect((await run("2", "50")).status).toBe(200)
    await waitFor(async () => (await nightlyPass()).length === 1)
    const logged = () => sql("select customer_id as id, trigger from predictions order by customer_id")
    expect(await logged()).toEqual([...customers].sort().map((id) => ({ id, trigger: "nightly" })))
    expect(await nightlyPass()).toEqual([{ scored: 5, not_scored: 0, failed: 0 }])
    await run("2", "50")
    expect(await logged()).toHaveLength(5)
    await cancelSubscription(customers[0] ?? "")
    await runHeartbeats(["rescore"])
    await advanceClock("P1D")
    await waitFor(async () => (await sql("select 1 from predictions")).length === 9)
    expect(await sql("select not_scored from customer_scores where customer_id = $1", [customers[0]])).toEqual([
      { not_scored: "no_paid_access" },
    ])
  })

  test("continues where an invocation had no budget left", async () => {
    await champion()
    await Promise.all(Array.from({ length: 9 }, () => subscriber()))
    const request = new Request(`${world().vars.APP_URL}/jobs/rescore`, {
      method: "POST",
      headers: { authorization: `Bearer ${world().adminApiKey}` },
      body: "{}",
    })
    expect((await runInProcess(request, null, { ML_BATCH_SIZE: "1", SUBREQUESTS_MAX: "40" })).status).toBe(200)
    const [early] = await sql<{ scored: number }>("select count(*)::int as scored from predictions")
    expect(early?.scored).toBeGreaterThan(0)
    expect(early?.scored).toBeLessThan(9)
    await advanceClock("PT10S")
    await waitFor(async () => (await sql("select 1 from rescore_passes where finished_at is not null")).length === 1)
    expect(
      await sql("select count(*)::int as said, count(distinct customer_id)::int as customers from predictions"),
    ).toEqual([{ said: 9, customers: 9 }])
  })
})
