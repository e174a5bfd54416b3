/** The health of customers: components that sum to it, the company's weights, and their cost. */
import { beforeEach, describe, expect, test } from "vitest"
import { addCompany, newApiKey } from "../../support/actions/companies.ts"
import { failPayment } from "../../support/actions/members.ts"
import { fresh } from "../../support/events/providers.ts"
import { cancelSubscription, champion, scoreOf, subscriber } from "../../support/models/scoring.ts"
import { advanceClock, api, reset, sql, waitFor, waitUntilProcessed } from "../../support/world/world.ts"

beforeEach(reset)

interface CustomerBody {
  readonly id: string
  readonly score: { readonly probability: number; readonly riskLevel: string } | null
  readonly health: {
    readonly status: string
    readonly score: number
    readonly because: { readonly reason: string } | null
    readonly components: readonly { readonly name: string; readonly score: number; readonly points: number }[]
    readonly isReweighted: boolean
    readonly source: string
  } | null
  readonly atRisk: { readonly score: number; readonly level: string } | null
}

const customer = async (id: string) => (await api<CustomerBody>(`/api/customers/${id}`)).body
const listed = async (query = "") => (await api<{ data: CustomerBody[] }>(`/api/customers${query}`)).body.data

const putSettings = async (settings: object) =>
  api("/api/settings", {
    method: "PUT",
    body: JSON.stringify(settings),
    headers: { "content-type": "application/json" },
  })

const WEIGHTS = { payment: 1, usage: 1, support: 1, relationship: 1, tenure: 1 }

test("a scored customer has a health with components that sum to it, the same in list and detail", async () => {
  await champion({ offset: 0.25 })
  const id = await subscriber()
  expect(await customer(id)).toMatchObject({ score: null, health: null, atRisk: null })

  const score = await scoreOf(id)
  const shown = await customer(id)
  expect(shown.health).toMatchObject({ status: "scored", because: null, isReweighted: false, source: "model" })
  const components = shown.health?.components ?? []
  expect(components.map(({ name }) => name)).toEqual(["payment", "usage", "support", "relationship", "tenure"])
  expect(components.reduce((sum, part) => sum + part.score, 0)).toBe(shown.health?.score)
  expect((shown.health?.score ?? 0) + (shown.atRisk?.score ?? 0)).toBeCloseTo(100, 5)
  expect(shown.atRisk?.level).toBe(score.riskLevel)
  expect(shown).toEqual({
    ...(await listed()).find((row) => row.id === id),
    refused: { cases: 0, subscriptions: 0 },
    quarantine: null,
  })

  await failPayment(id.replace(/^stripe_/, ""), fresh("in"))
  await waitUntilProcessed()
  await advanceClock("PT61S") // fresh scores are limited to one a minute
  const worse = await scoreOf(id, "?fresh=true")
  expect(worse.probability).toBeGreaterThan(score.probability)
  const after = await customer(id)
  expect(after.health?.score).toBeLessThan(shown.health?.score ?? 0)
  const pointsOf = (body: CustomerBody) => body.health?.components.find(({ name }) => name === "payment")?.points ?? 0
  expect(pointsOf(after)).toBeLessThan(pointsOf(shown))

  await cancelSubscription(id)
  expect(await customer(id)).toMatchObject({ score: null, health: null, atRisk: null })
})

test("without a model the health is that of the rules, and is marked so", async () => {
  const id = await subscriber()
  await scoreOf(id)
  expect((await customer(id)).health).toMatchObject({ status: "scored", source: "rules" })
})

test("with too little known there is no health, with the reason", async () => {
  await champion({ weights: { usage_4w_ratio: 1, usage_8w_ratio: 1, failed_invoices_30d: 20 } })
  const id = await subscriber()
  await scoreOf(id)
  const { score, health, atRisk } = await customer(id)
  expect({ score, atRisk }).toEqual({ score: null, atRisk: null })
  expect(health).toMatchObject({
    status: "not_scored",
    score: null,
    because: { reason: "coverage_too_low", needed: 0.5 },
  })
})

test("risk levels follow the company's thresholds, and filter the list", async () => {
  await champion({ intercept: -1 })
  const id = await subscriber()
  await scoreOf(id)
  const before = await customer(id)
  const { status } = await putSettings({ riskThresholds: { medium: 1, high: 1, critical: 1 } })
  expect(status).toBe(200)
  const after = await customer(id)
  expect(after.atRisk?.score).toBe(before.atRisk?.score)
  expect([after.atRisk?.level, after.score?.riskLevel]).toEqual(["critical", "critical"])
  await advanceClock("PT61S") // fresh scores are limited to one a minute
  await scoreOf(id, "?fresh=true")
  expect((await listed("?riskLevel=critical")).map((row) => row.id)).toEqual([id])
  expect(await listed("?riskLevel=low")).toEqual([])
  expect((await putSettings({ riskThresholds: { medium: 3, high: 2, critical: 6 } })).status).toBe(400)
})

describe("weights", () => {
  interface Effect {
    readonly rows: number
    readonly events: number
    readonly auc: { readonly model: number; readonly weighted: number; readonly difference: number } | null
    readonly isReliable: boolean
    readonly because: string | null
  }
  const effectOf = async (query = "", key?: string) =>
    api<Effect>(`/api/settings/health-weights${query}`, key === undefined ? {} : { key })

  test("change the health and are shown, and do not change the risk", async () => {
    await champion()
    const id = await subscriber()
    await failPayment(id.replace(/^stripe_/, ""), fresh("in"))
    await waitUntilProcessed()
    await scoreOf(id)
    const before = await customer(id)
    expect((await putSettings({ healthWeights: { ...WEIGHTS, payment: 0 } })).status).toBe(200)
    const after = await customer(id)
    expect(after.health).toMatchObject({ isReweighted: true })
    expect(after.health?.score).toBeGreaterThan(before.health?.score ?? 100)
    expect(after.atRisk).toEqual(before.atRisk)
    for (const healthWeights of [{ ...WEIGHTS, usage: -1 }, { ...WEIGHTS, usage: 4 }, { payment: 1 }])
      expect((await putSettings({ healthWeights })).status).toBe(400)
  })

  test("show their cost on scores with a known outcome, and whether there are any", async () => {
    expect((await effectOf()).body).toMatchObject({ rows: 0, auc: null, isReliable: false })
    expect((await effectOf()).body.because).toContain("No score is old enough")

    await champion()
    const id = await subscriber()
    await scoreOf(id)
    await waitFor(async () => (await sql("select 1 from predictions")).length > 0)
    // The same score many times, with churn depending on payment; the outcomes are inserted.
    await sql("update predictions set parts = jsonb_set(parts, '{reasons}', '[]')")
    await sql(`
      insert into predictions select p.company_id, gen_random_uuid(), p.customer_id, p.as_of - n * interval '1 minute', p.source,
        p.model_sha256, p.model_version, p.is_shadow, p.trigger, p.probability, p.low, p.high, n / 100.0, p.coverage,
        p.confidence, p.not_scored, jsonb_build_object('base', 0, 'reasons', jsonb_build_array(
          jsonb_build_object('code', 'failed_invoices_30d', 'value', 1, 'logOdds', n / 100.0))),
        p.vector, p.vector_hash, p.took_ms
      from predictions p, generate_series(1, 100) as n`)
    await sql(`
      insert into model_outcomes (company_id, model_sha256, customer_id, as_of, prediction_id, is_shadow, probability,
        is_churned, matured_at)
      select company_id, model_sha256, customer_id, as_of, id, false, probability, log_odds > 0.6, as_of
      from predictions where jsonb_array_length(parts -> 'reasons') > 0`)

    const same = await effectOf()
    expect(same.body).toMatchObject({ rows: 100, events: 40, isReliable: true, because: null })
    expect(same.body.auc).toMatchObject({ model: 1, weighted: 1, difference: 0 })
    expect((await effectOf("?payment=0")).body.auc).toMatchObject({ model: 1, weighted: 0.5, difference: -0.5 })

    await addCompany("other_health")
    expect((await effectOf("", await newApiKey("admin", "other_health"))).body.rows).toBe(0)
  })

  test("are refused where invalid", async () => {
    expect((await effectOf("?payment=9")).status).toBe(400)
    expect((await effectOf("?luck=1")).status).toBe(400)
    expect((await effectOf("", await newApiKey("success-analyst"))).status).toBe(403)
  })
})
