/** The effect of nudges: matured cases of a company by assigned arm. */
import { beforeAll, describe, expect, test } from "vitest"
import { addCompany, newApiKey } from "../../support/actions/companies.ts"
import { fresh } from "../../support/events/providers.ts"
import { putFlag } from "../../support/world/external-services.ts"
import { api, reset, sql, world, worldNow } from "../../support/world/world.ts"

interface Seed {
  readonly kind?: string
  readonly arm?: string | null
  readonly percentage?: number | null
  readonly status?: string
  /** Age in days, and how long the case was open. */
  readonly opened?: number
  readonly closedAfter?: number | null
  readonly amount?: number
  readonly currency?: string
  readonly isWritten?: boolean
  readonly customer?: string
}

let serial = 0

/** Inserts similar cases. */
async function cases(count: number, seed: Seed = {}): Promise<void> {
  const { kind = "payment", arm = "treated", percentage = 20, status = "recovered", opened = 60, amount = 1_000 } = seed
  const { closedAfter = status === "open" ? null : 3, currency = "usd", isWritten = arm === "treated" } = seed
  const { customer = "stripe_cus_first" } = seed
  const batch = `${kind}_${serial++}_`
  const at = (await worldNow()).toISOString()
  await sql(
    `insert into recovery_cases (company_id, id, customer_id, provider, kind, status, amount_minor, recovered_minor, currency,
       failure_count, arm, holdout_percentage, opened_at, closed_at)
     select $1, $2 || i, $3, 'stripe', $4, $5, $6, case when $4 = 'payment' and $5 = 'recovered' then $6::bigint else 0 end, $7, 0,
       $8, $9, $10::timestamptz - make_interval(days => $11), $10::timestamptz - make_interval(days => $11 - $12::int)
     from generate_series(1, $13::int) i`,
    [
      world().companyId,
      batch,
      customer,
      kind,
      status,
      amount,
      currency,
      arm,
      percentage,
      at,
      opened,
      closedAfter,
      count,
    ],
  )
  if (isWritten) {
    await sql(
      `insert into nudges (company_id, id, case_id, customer_id, channel, status, due_at, sent_at)
       select $1, $2 || i || '.0.email', $2 || i, $3, 'email', 'sent', $4, $4 from generate_series(1, $5::int) i`,
      [world().companyId, batch, customer, at, count],
    )
  }
}

interface Report {
  readonly kind: string
  readonly cases: number
  readonly randomized: number
  readonly matured: number
  readonly treated: Record<string, number | null>
  readonly heldOut: Record<string, number | null>
  readonly lift: Record<string, unknown>
  readonly amounts: readonly { readonly currency: string; readonly incremental: Record<string, unknown> }[]
}

async function report(query = "", key?: string): Promise<Record<string, Report>> {
  const { status, body } = await api<{ data: Report[]; nextCursor: null }>(
    `/api/interventions${query}`,
    key === undefined ? {} : { key },
  )
  expect(status).toBe(200)
  return Object.fromEntries(body.data.map((one) => [one.kind, one]))
}

beforeAll(async () => {
  await reset()
  const at = (await worldNow()).toISOString()
  for (const [place, name] of ["first", "second"].entries()) {
    await sql(
      `insert into customers (company_id, id, provider, provider_customer_id, version, state, created_at, updated_at)
       values ($1, $2, 'stripe', $3, 1, $4, $5, $5)`,
      [world().companyId, `stripe_cus_${name}`, name, JSON.stringify({ profile: { hasEmail: place === 0 } }), at],
    )
  }
  // Recovered: 90 of 160 that were nudged, 12 of 40 that were not.
  await cases(90)
  await cases(50, { status: "lost" })
  await cases(20, { status: "open" })
  await cases(12, { arm: "held_out" })
  await cases(20, { arm: "held_out", status: "lost" })
  await cases(6, { arm: "held_out", status: "recovered", closedAfter: 45 })
  await cases(2, { arm: "held_out", status: "reversed" })
  // Not compared: too young, from before the hold-out, or from a time without one.
  await cases(9, { opened: 10 })
  await cases(5, { arm: "held_out", opened: 10, status: "open" })
  await cases(30, { arm: null, percentage: null })
  await cases(7, { percentage: 0 })
  // Another currency and customer, too few to tell; one held-out case got a manual message.
  await cases(10, { kind: "cancellation", currency: "jpy", amount: 500, customer: "stripe_cus_second" })
  await cases(3, { kind: "cancellation", currency: "jpy", amount: 500, arm: "held_out", customer: "stripe_cus_second" })
  await cases(1, {
    kind: "cancellation",
    currency: "jpy",
    amount: 500,
    arm: "held_out",
    status: "lost",
    isWritten: true,
  })
  // At-risk cases: a member who has not left by then has stayed, whether the case is closed or not.
  await cases(40, { kind: "at_risk", status: "recovered", closedAfter: 20 })
  await cases(20, { kind: "at_risk", status: "lost", closedAfter: 40 })
  await cases(20, { kind: "at_risk", status: "open" })
  await cases(40, { kind: "at_risk", status: "lost", arm: "held_out" })
})

describe("the report", () => {
  test("compares matured cases by assigned arm", async () => {
    expect((await api("/api/interventions")).body).toMatchObject({ horizonDays: 30, segmentId: null, uplift: null })
    const { payment } = await report()
    expect(payment).toMatchObject({
      ...{ cases: 90 + 50 + 20 + 40 + 9 + 5 + 30 + 7, open: 25, randomized: 214, matured: 200 },
      treated: { cases: 169, written: 169, matured: 160, successes: 90, rate: 90 / 160 },
      heldOut: { cases: 45, written: 0, matured: 40, successes: 12, rate: 12 / 40 },
    })
    expect(payment?.lift).toMatchObject({ verdict: "more", difference: 90 / 160 - 12 / 40 })
    const { low, high, difference } = payment?.lift ?? {}
    expect(Number(low)).toBeGreaterThan(0)
    expect(Number(low)).toBeLessThan(Number(difference))
    expect(Number(high)).toBeGreaterThan(Number(difference))
  })

  test("shows the incremental amount in each currency, with its interval", async () => {
    const { payment } = await report()
    expect(payment?.amounts).toMatchObject([
      {
        currency: "usd",
        treated: { atStakeMinor: 160_000, keptMinor: 90_000 },
        heldOut: { atStakeMinor: 40_000, keptMinor: 12_000 },
        // The amount kept beyond 30 % of the amount at stake.
        incremental: { isTooFewToTell: false, amountMinor: 90_000 - 48_000 },
      },
    ])
    const [{ incremental } = { incremental: {} as Record<string, unknown> }] = payment?.amounts ?? []
    expect(Number(incremental.lowMinor)).toBeLessThan(42_000)
    expect(Number(incremental.highMinor)).toBeGreaterThan(42_000)
  })

  test("says when there are too few to tell, and keeps a case with a manual message in its arm", async () => {
    const { cancellation } = await report()
    expect(cancellation).toMatchObject({
      treated: { matured: 10, successes: 10 },
      heldOut: { matured: 4, successes: 3, written: 1 },
      lift: { verdict: "too_few_to_tell", difference: 0.25 },
      amounts: [{ currency: "jpy", treated: { keptMinor: 5_000 }, incremental: { isTooFewToTell: true } }],
    })
  })

  test("counts an at-risk member who did not leave in time as kept", async () => {
    expect((await report()).at_risk).toMatchObject({
      treated: { matured: 80, successes: 80 },
      heldOut: { matured: 40, successes: 0 },
      lift: { verdict: "more", difference: 1 },
    })
    expect((await report("?horizonDays=50")).at_risk).toMatchObject({ treated: { matured: 80, successes: 60 } })
  })

  test("uses the requested horizon", async () => {
    expect((await report("?horizonDays=50")).payment).toMatchObject({ heldOut: { matured: 40, successes: 18 } })
    expect((await report("?horizonDays=5")).payment).toMatchObject({ randomized: 214, matured: 214 })
    expect((await report("?horizonDays=61")).payment).toMatchObject({
      ...{ matured: 0, amounts: [{ incremental: { amountMinor: null } }] },
      treated: { rate: null, low: 0, high: 1 },
      lift: { verdict: "too_few_to_tell", difference: null, low: null, high: null },
    })
  })

  test("is narrowed by kind, currency, time and segment", async () => {
    expect(Object.keys(await report("?kind=payment"))).toEqual(["payment"])
    expect((await report("?currency=EUR")).payment).toMatchObject({ cases: 0 })
    const young = new Date((await worldNow()).getTime() - 30 * 86_400_000).toISOString()
    expect((await report(`?from=${young}`)).payment).toMatchObject({ cases: 14 })
    expect((await report(`?to=${young}`)).payment).toMatchObject({ cases: 251 - 14 })

    await putFlag("ADVANCED_SEGMENTATION", { enabled: true })
    const made = await api<{ id: string }>("/api/segments", {
      method: "POST",
      body: JSON.stringify({ name: fresh("without address"), rule: { field: "hasEmail", is: false } }),
      headers: { "content-type": "application/json" },
    })
    const { payment, cancellation } = await report(`?segmentId=${made.body.id}`)
    expect([payment?.cases, cancellation?.cases]).toEqual([0, 13])
    expect((await api("/api/interventions?segmentId=nothing")).status).toBe(404)
    await putFlag("ADVANCED_SEGMENTATION", { enabled: false })
    expect((await api(`/api/interventions?segmentId=${made.body.id}`)).status).toBe(409)
  })

  test.each(["kind=other", "horizonDays=0", "horizonDays=181", "from=yesterday", "currency=dollars", "page=1"])(
    "refuses ?%s",
    async (query) => {
      expect((await api(`/api/interventions?${query}`)).status).toBe(400)
    },
  )

  test("is for analysts too, and shows their own company only", async () => {
    expect((await report("", await newApiKey("success-analyst"))).payment?.cases).toBe(251)
    const other = fresh("company")
    await addCompany(other)
    expect((await report("", await newApiKey("admin", other))).payment?.cases).toBe(0)
  })
})
