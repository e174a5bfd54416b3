/** Members who are about to leave: whom the policy has written to, who is left alone, and how the fear ends. */
import { beforeEach, describe, expect, test } from "vitest"
import { armFor } from "../../shared/domain/holdout.ts"
import type { CaseBody } from "../support/members.ts"
import { failPayment, meet, messages } from "../support/members.ts"
import { putFlag } from "../support/outside.ts"
import { envelope, fresh, sendStripe } from "../support/providers.ts"
import { advanceClock, api, mailbox, reset, settled, sql, world, worldNow } from "../support/world.ts"

const json = { "content-type": "application/json" }
const DAY_MS = 86_400_000

/** Two messages a day apart: days of the world's clock are dear. */
const playbooks = { payment: [{ day: 0 }], cancellation: [], at_risk: [{ day: 0 }, { day: 1 }] }

const putSettings = async ({ atRisk = {}, ...settings }: { readonly atRisk?: object; [name: string]: unknown }) => {
  const policy = { restDays: 1, periodDays: 2, ...atRisk }
  const body = JSON.stringify({ quietHours: null, playbooks, atRisk: policy, ...settings })
  expect((await api("/api/settings", { method: "PUT", body, headers: json })).status).toBe(200)
}

beforeEach(async () => {
  await reset()
  // Scores come from this test alone, and the job runs when it is asked to.
  await pause("rescore", true)
  await pause("interventions", true)
  await putFlag("AUTO_RETENTION_CAMPAIGNS", { enabled: true })
  await putSettings({})
})

type SubscriptionEvent = "created" | "updated" | "deleted"

/** The provider's word on a member's subscription of so much a month. */
async function tellSubscription(customer: string, type: SubscriptionEvent, more: object = {}, amount = 1_999) {
  const now = await worldNow()
  const seconds = (days: number) => Math.floor((now.getTime() + days * DAY_MS) / 1_000)
  const price = {
    ...{ id: "price_1", product: "prod_1", unit_amount: amount, currency: "usd" },
    recurring: { interval: "month", interval_count: 1, usage_type: "licensed" },
  }
  const object = {
    ...{ id: `sub_of_${customer}`, object: "subscription", customer, status: "active", currency: "usd" },
    ...{ cancel_at_period_end: false, cancel_at: null, start_date: seconds(-100) },
    items: { object: "list", data: [{ id: "si_1", quantity: 1, current_period_end: seconds(20), price }] },
    ...more,
  }
  await sendStripe(envelope(`customer.subscription.${type}`, now, fresh("evt"), object))
}

/** A member with a subscription, and a score that says how likely they leave. */
async function member(probability: number, { amount = 1_999, customer = fresh("cus") } = {}): Promise<string> {
  await meet(customer, { email: `${customer}@example.com` })
  await tellSubscription(customer, "created", {}, amount)
  await settled()
  await score(customer, probability)
  return customer
}

/** The newest score of a member. */
async function score(customer: string, probability: number, more: { confidence?: number } = {}): Promise<void> {
  const at = (await worldNow()).toISOString()
  await sql(
    `insert into customer_scores (company_id, customer_id, prediction_id, as_of, source, model_version, probability, low, high,
       log_odds, base_rate, risk_level, coverage, confidence, parts)
     values ($1, $2, gen_random_uuid(), $3, 'model', 'model_1', $4, 0, 1, 0, 0.03, 'high', 1, $5, '{}')
     on conflict (company_id, customer_id) do update set as_of = excluded.as_of, probability = excluded.probability`,
    [world().companyId, `stripe_${customer}`, at, probability, more.confidence ?? 0.95],
  )
}

const pause = (job: string, isPaused: boolean): Promise<unknown> =>
  sql(
    `insert into job_states (job, is_paused) values ($1, $2) on conflict (job) do update set is_paused = excluded.is_paused`,
    [job, isPaused],
  )

/** Lets the job run now, and only now. */
async function lookThrough(): Promise<Record<string, number>> {
  await sql("delete from risk_passes")
  await pause("interventions", false)
  const { status, body } = await api<{ counts: Record<string, number> }>("/jobs/interventions", {
    method: "POST",
    body: "{}",
    headers: json,
  })
  await pause("interventions", true)
  expect(status).toBe(200)
  return body.counts
}

type Shown = CaseBody & {
  readonly kind: string
  readonly cause: string | null
  readonly amountMinor: number
  readonly recoveredMinor: number
  readonly heldOut: boolean
  readonly risk: { readonly probability: number; readonly until: string } | null
}

const casesOf = async (customer: string): Promise<readonly Shown[]> => {
  await settled()
  const { body } = await api<{ data: Shown[] }>(`/api/cases?kind=at_risk&customerId=${customer}`)
  return Promise.all(body.data.map(async ({ id }) => (await api<Shown>(`/api/cases/${id}`)).body))
}

describe("a member who is about to leave", () => {
  test("gets the messages of the playbook, and the case says why it was opened", async () => {
    const customer = await member(0.4)
    expect(await lookThrough()).toMatchObject({ opened: 1, failed: 0 })
    const [found] = await casesOf(customer)
    expect(found).toMatchObject({
      ...{ kind: "at_risk", status: "open", amountMinor: 1_999, risk: { probability: 0.4 } },
    })
    expect(found?.timeline.find(({ kind }) => kind === "risk_detected")).toMatchObject({
      ...{
        probability: 0.4,
        uplift: expect.closeTo(0.04, 12),
        upliftSource: "assumed",
        expectedValueMinor: 235,
        modelVersion: "model_1",
      },
    })
    expect(await messages(1)).toMatchObject([{ to: `${customer}@example.com` }])

    // Once more changes nothing, and nor does the next day's score.
    expect(await lookThrough()).toMatchObject({ opened: 0 })
    await advanceClock("PT25H")
    expect(await mailbox()).toHaveLength(2)
    await score(customer, 0.5)
    expect(await lookThrough()).toMatchObject({ opened: 0, ended: 0 })
    expect(await casesOf(customer)).toHaveLength(1)
  }, 60_000)

  test("is left alone where contact costs more than it brings, or the score is not to be relied on", async () => {
    const dear = await member(0.4, { amount: 5_000 })
    await putSettings({ atRisk: { contactCostMinor: 500 } })
    const cheap = await member(0.4, { amount: 1_000 })
    const vague = await member(0.9, { amount: 9_000 })
    await sql("update customer_scores set confidence = 0.3 where customer_id = $1", [`stripe_${vague}`])
    const old = await member(0.9, { amount: 9_000 })
    await sql("update customer_scores set as_of = as_of - interval '3 days' where customer_id = $1", [`stripe_${old}`])
    expect(await lookThrough()).toMatchObject({ opened: 1 })
    for (const customer of [cheap, vague, old]) expect(await casesOf(customer)).toEqual([])
    expect(await casesOf(dear)).toHaveLength(1)
  }, 60_000)

  test("is left alone while a bill is open, and after any message, for as long as the company says", async () => {
    const customer = await member(0.4)
    await failPayment(customer, fresh("in"), { subscription: `sub_of_${customer}` })
    await messages(1)
    expect(await lookThrough()).toMatchObject({ opened: 0 })
    await api(
      `/api/cases/${(await api<{ data: { id: string }[] }>("/api/cases?kind=payment")).body.data[0]?.id}/close`,
      {
        method: "POST",
      },
    )
    expect(await lookThrough()).toMatchObject({ opened: 0 })
    await advanceClock("PT25H")
    await score(customer, 0.4)
    expect(await lookThrough()).toMatchObject({ opened: 1 })
  }, 60_000)

  test("waits for another day where the day's cases are opened: the most valuable come first", async () => {
    await putSettings({ atRisk: { casesPerDay: 1 } })
    const likely = await member(0.6, { amount: 1_000 })
    const valuable = await member(0.3, { amount: 9_000 })
    expect(await lookThrough()).toMatchObject({ opened: 1 })
    expect([await casesOf(valuable), await casesOf(likely)]).toMatchObject([[{ status: "open" }], []])
    expect(await lookThrough()).toMatchObject({ opened: 0 })
    await advanceClock("P1D")
    await score(likely, 0.6)
    expect(await lookThrough()).toMatchObject({ opened: 1 })
  }, 60_000)

  test("is nobody's concern while the feature is off, or effects are stopped", async () => {
    const customer = await member(0.4)
    await putFlag("AUTO_RETENTION_CAMPAIGNS", { enabled: false })
    expect(await lookThrough()).toMatchObject({ opened: 0, companies: 0 })
    await putFlag("AUTO_RETENTION_CAMPAIGNS", { enabled: true })
    await putFlag("ROLLBACK_MODE", { enabled: true })
    expect(await lookThrough()).toMatchObject({ opened: 0, companies: 0 })
    await putFlag("ROLLBACK_MODE", { enabled: false })
    expect(await lookThrough()).toMatchObject({ opened: 1 })
    expect(await casesOf(customer)).toHaveLength(1)
  }, 60_000)

  test("is drawn like every other case: who is held out gets no message", async () => {
    await putSettings({ holdoutPercentage: 50 })
    const day = (await worldNow()).toISOString().slice(0, 10).replaceAll("-", "")
    const armOf = (customer: string) => armFor(world().companyId, `at_risk_sub_of_${customer}_${day}`, 50)
    const named = (arm: string): string => {
      for (;;) {
        const customer = fresh("cus")
        if (armOf(customer) === arm) return customer
      }
    }
    const [held, treated] = [named("held_out"), named("treated")]
    for (const customer of [held, treated]) await member(0.4, { customer })
    expect(await lookThrough()).toMatchObject({ opened: 2 })
    expect([await casesOf(held), await casesOf(treated)]).toMatchObject([[{ heldOut: true }], [{ heldOut: false }]])
    await messages(1)
    await advanceClock("PT25H")
    expect(new Set((await mailbox()).map(({ to }) => to))).toEqual(new Set([`${treated}@example.com`]))
  }, 60_000)
})

describe("the fear ends", () => {
  const afraid = async () => {
    const customer = await member(0.4)
    expect(await lookThrough()).toMatchObject({ opened: 1 })
    await casesOf(customer)
    return customer
  }

  test("when the score has fallen by half", async () => {
    const customer = await afraid()
    await advanceClock("PT1H")
    await score(customer, 0.3)
    expect(await lookThrough()).toMatchObject({ ended: 0 })
    await score(customer, 0.2)
    expect(await lookThrough()).toMatchObject({ ended: 1 })
    expect(await casesOf(customer)).toMatchObject([{ status: "recovered", cause: "risk_fell", recoveredMinor: 0 }])
  }, 60_000)

  test("when its time is over, also after the feature was switched off", async () => {
    const customer = await afraid()
    await putFlag("AUTO_RETENTION_CAMPAIGNS", { enabled: false })
    await advanceClock("PT49H")
    await lookThrough()
    expect(await casesOf(customer)).toMatchObject([{ status: "recovered", cause: "stayed" }])
  }, 60_000)

  test("when it comes true", async () => {
    const [gone, going] = [await afraid(), await afraid()]
    await tellSubscription(gone, "deleted", {
      status: "canceled",
      ended_at: Math.floor((await worldNow()).getTime() / 1_000),
    })
    await tellSubscription(going, "updated", { cancel_at_period_end: true })
    expect(await casesOf(gone)).toMatchObject([{ status: "lost", cause: "subscription_ended" }])
    expect(await casesOf(going)).toMatchObject([{ status: "lost", cause: "cancellation_announced" }])
  }, 60_000)
})
