/**
 * Members at risk: whom the policy contacts, whom it skips, and how an at-risk case ends. Over 300 lines because the tests share
 * how members, scores and runs are made.
 */
import { beforeEach, describe, expect, test } from "vitest"
import { armFor } from "../../../shared/domain/interventions/holdout.ts"
import type { CaseBody } from "../../support/actions/members.ts"
import { failPayment, messages, sendNewCustomer } from "../../support/actions/members.ts"
import { envelope, fresh, sendStripe } from "../../support/events/providers.ts"
import { putFlag } from "../../support/world/external-services.ts"
import {
  advanceClock,
  api,
  mailbox,
  reset,
  sql,
  waitUntilProcessed,
  world,
  worldNow,
} from "../../support/world/world.ts"

const json = { "content-type": "application/json" }
const DAY_MS = 86_400_000

/** Two messages a day apart, because each day of the clock takes time. */
const playbooks = { payment: [{ day: 0 }], cancellation: [], at_risk: [{ day: 0 }, { day: 1 }] }

const putSettings = async ({ atRisk = {}, ...settings }: { readonly atRisk?: object; [name: string]: unknown }) => {
  const policy = { restDays: 1, periodDays: 2, ...atRisk }
  const body = JSON.stringify({ quietHours: null, playbooks, atRisk: policy, ...settings })
  expect((await api("/api/settings", { method: "PUT", body, headers: json })).status).toBe(200)
}

beforeEach(async () => {
  await reset()
  // Only this test inserts scores and starts the job.
  await pause("rescore", true)
  await pause("interventions", true)
  await putFlag("AUTO_RETENTION_CAMPAIGNS", { enabled: true })
  await putSettings({})
})

type SubscriptionEvent = "created" | "updated" | "deleted"

/** Sends an event of a member's subscription with this monthly amount. */
async function sendSubscription(customer: string, type: SubscriptionEvent, more: object = {}, amount = 1_999) {
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

/** A member with a subscription and a score. */
async function member(probability: number, { amount = 1_999, customer = fresh("cus") } = {}): Promise<string> {
  await sendNewCustomer(customer, { email: `${customer}@example.com` })
  await sendSubscription(customer, "created", {}, amount)
  await waitUntilProcessed()
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

/** Runs the job once. */
async function runInterventions(): Promise<Record<string, number>> {
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
  await waitUntilProcessed()
  const { body } = await api<{ data: Shown[] }>(`/api/cases?kind=at_risk&customerId=${customer}`)
  return Promise.all(body.data.map(async ({ id }) => (await api<Shown>(`/api/cases/${id}`)).body))
}

describe("a member at risk", () => {
  test("gets the messages of the playbook, and the case shows why it was opened", async () => {
    const customer = await member(0.4)
    expect(await runInterventions()).toMatchObject({ opened: 1, failed: 0 })
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

    // Another run changes nothing, nor does the next day's score.
    expect(await runInterventions()).toMatchObject({ opened: 0 })
    await advanceClock("PT25H")
    expect(await mailbox()).toHaveLength(2)
    await score(customer, 0.5)
    expect(await runInterventions()).toMatchObject({ opened: 0, ended: 0 })
    expect(await casesOf(customer)).toHaveLength(1)
  }, 60_000)

  test("is skipped where contact costs more than its value, or the score is not confident", async () => {
    const dear = await member(0.4, { amount: 5_000 })
    await putSettings({ atRisk: { contactCostMinor: 500 } })
    const cheap = await member(0.4, { amount: 1_000 })
    const vague = await member(0.9, { amount: 9_000 })
    await sql("update customer_scores set confidence = 0.3 where customer_id = $1", [`stripe_${vague}`])
    const old = await member(0.9, { amount: 9_000 })
    await sql("update customer_scores set as_of = as_of - interval '3 days' where customer_id = $1", [`stripe_${old}`])
    expect(await runInterventions()).toMatchObject({ opened: 1 })
    for (const customer of [cheap, vague, old]) expect(await casesOf(customer)).toEqual([])
    expect(await casesOf(dear)).toHaveLength(1)
  }, 60_000)

  test("is skipped while an invoice is open, and for the company's rest days after any message", async () => {
    const customer = await member(0.4)
    await failPayment(customer, fresh("in"), { subscription: `sub_of_${customer}` })
    await messages(1)
    expect(await runInterventions()).toMatchObject({ opened: 0 })
    await api(
      `/api/cases/${(await api<{ data: { id: string }[] }>("/api/cases?kind=payment")).body.data[0]?.id}/close`,
      {
        method: "POST",
      },
    )
    expect(await runInterventions()).toMatchObject({ opened: 0 })
    await advanceClock("PT25H")
    await score(customer, 0.4)
    expect(await runInterventions()).toMatchObject({ opened: 1 })
  }, 60_000)

  test("waits when the day's limit is reached: the most valuable come first", async () => {
    await putSettings({ atRisk: { casesPerDay: 1 } })
    const likely = await member(0.6, { amount: 1_000 })
    const valuable = await member(0.3, { amount: 9_000 })
    expect(await runInterventions()).toMatchObject({ opened: 1 })
    expect([await casesOf(valuable), await casesOf(likely)]).toMatchObject([[{ status: "open" }], []])
    expect(await runInterventions()).toMatchObject({ opened: 0 })
    await advanceClock("P1D")
    await score(likely, 0.6)
    expect(await runInterventions()).toMatchObject({ opened: 1 })
  }, 60_000)

  test("gets no case while the feature is off or ROLLBACK_MODE is on", async () => {
    const customer = await member(0.4)
    await putFlag("AUTO_RETENTION_CAMPAIGNS", { enabled: false })
    expect(await runInterventions()).toMatchObject({ opened: 0, companies: 0 })
    await putFlag("AUTO_RETENTION_CAMPAIGNS", { enabled: true })
    await putFlag("ROLLBACK_MODE", { enabled: true })
    expect(await runInterventions()).toMatchObject({ opened: 0, companies: 0 })
    await putFlag("ROLLBACK_MODE", { enabled: false })
    expect(await runInterventions()).toMatchObject({ opened: 1 })
    expect(await casesOf(customer)).toHaveLength(1)
  }, 60_000)

  test("is assigned like every other case: a held-out member gets no message", async () => {
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
    expect(await runInterventions()).toMatchObject({ opened: 2 })
    expect([await casesOf(held), await casesOf(treated)]).toMatchObject([[{ heldOut: true }], [{ heldOut: false }]])
    await messages(1)
    await advanceClock("PT25H")
    expect(new Set((await mailbox()).map(({ to }) => to))).toEqual(new Set([`${treated}@example.com`]))
  }, 60_000)
})

describe("an at-risk case ends", () => {
  const atRiskMember = async () => {
    const customer = await member(0.4)
    expect(await runInterventions()).toMatchObject({ opened: 1 })
    await casesOf(customer)
    return customer
  }

  test("when the score has fallen by half", async () => {
    const customer = await atRiskMember()
    await advanceClock("PT1H")
    await score(customer, 0.3)
    expect(await runInterventions()).toMatchObject({ ended: 0 })
    await score(customer, 0.2)
    expect(await runInterventions()).toMatchObject({ ended: 1 })
    expect(await casesOf(customer)).toMatchObject([{ status: "recovered", cause: "risk_fell", recoveredMinor: 0 }])
  }, 60_000)

  test("when its time is over, also after the feature was switched off", async () => {
    const customer = await atRiskMember()
    await putFlag("AUTO_RETENTION_CAMPAIGNS", { enabled: false })
    await advanceClock("PT49H")
    await runInterventions()
    expect(await casesOf(customer)).toMatchObject([{ status: "recovered", cause: "stayed" }])
  }, 60_000)

  test("when the member leaves", async () => {
    const [gone, going] = [await atRiskMember(), await atRiskMember()]
    // Stripe's times have seconds: an event of the same second could have happened before.
    await advanceClock("PT2S")
    await sendSubscription(gone, "deleted", {
      status: "canceled",
      ended_at: Math.floor((await worldNow()).getTime() / 1_000),
    })
    await sendSubscription(going, "updated", { cancel_at_period_end: true })
    expect(await casesOf(gone)).toMatchObject([{ status: "lost", cause: "subscription_ended" }])
    expect(await casesOf(going)).toMatchObject([{ status: "lost", cause: "cancellation_announced" }])
  }, 60_000)
})

describe("once enough cases have ended", () => {
  const CASES = 1_600

  /**
   * Past cases: contact keeps most members with a failed invoice, and drives away the others, who are likelier to leave. Churn is
   * spread evenly, and assignment was random.
   */
  async function past(effect: { readonly kept: number; readonly drivenAway: number }): Promise<void> {
    const at = (await worldNow()).toISOString()
    const made = `select i, i % 2 = 0 as is_treated, (i / 2) % 2 as failed, 'cus_past' || i as customer,
        $2::timestamptz - interval '40 days' as opened, ('x' || md5(i::text))::bit(31)::int / 2147483648.0 as luck from generate_series(1, ${CASES}) i`
    const risk = `case when failed = 1 then case when is_treated then 0.3 - ${effect.kept} else 0.3 end
      else case when is_treated then 0.5 + ${effect.drivenAway} else 0.5 end end`
    const company = world().companyId
    await sql(
      `insert into customers (company_id, id, provider, provider_customer_id, version, created_at, updated_at)
       select $1, 'stripe_' || customer, 'stripe', customer, 1, opened, opened from (${made}) m`,
      [company, at],
    )
    await sql(
      `insert into recovery_cases (company_id, id, customer_id, provider, kind, status, amount_minor, recovered_minor,
         failure_count, arm, holdout_percentage, risk_probability, risk_until, opened_at, closed_at)
       select $1, 'at_risk_' || customer, 'stripe_' || customer, 'stripe', 'at_risk',
         case when luck < ${risk} then 'lost' else 'recovered' end, 1999, 0, 0,
         case when is_treated then 'treated' else 'held_out' end, 50, 0.3, opened + interval '30 days', opened,
         opened + interval '9 days' from (${made}) m`,
      [company, at],
    )
    await sql(
      `insert into predictions (company_id, id, customer_id, as_of, source, model_version, is_shadow, trigger, probability, low,
         high, log_odds, coverage, confidence, vector, vector_hash, took_ms)
       select $1, md5(customer)::uuid, 'stripe_' || customer, opened, 'model', 'm', false, 'nightly', 0.3, 0, 1, 0, 1, 1,
         jsonb_build_object('failed_invoices_30d', failed, 'tenure_days', i % 97), 'h', 1 from (${made}) m`,
      [company, at],
    )
    await sql(
      `insert into facts (company_id, id, provider, subject, kind, rank, occurred_at, recorded_at, body)
       select $1, 'risk_detected:at_risk_' || customer, 'stripe', customer, 'risk_detected', 65, opened, opened,
         jsonb_build_object('kind', 'risk_detected', 'predictionId', md5(customer)::uuid, 'asOf', opened) from (${made}) m`,
      [company, at],
    )
    await sql("analyze customers, recovery_cases, predictions, facts") // as autovacuum does after so many rows
  }

  /** Sets the inputs of a member's newest score. */
  async function setInputs(customer: string, failed: number): Promise<void> {
    await sql(
      `insert into predictions (company_id, id, customer_id, as_of, source, model_version, is_shadow, trigger, probability, low,
         high, log_odds, coverage, confidence, vector, vector_hash, took_ms)
       select company_id, prediction_id, customer_id, as_of, 'model', 'm', false, 'nightly', 0.3, 0, 1, 0, 1, 1, $2, 'h', 1
       from customer_scores where customer_id = $1`,
      [`stripe_${customer}`, JSON.stringify({ failed_invoices_30d: failed, tenure_days: 50 })],
    )
  }

  const learned = async () =>
    (await api<{ uplift: Record<string, number | string> | null }>("/api/interventions")).body.uplift

  test("members whom contact drives away are skipped, and those whom it keeps are contacted by the learned uplift", async () => {
    await past({ kept: 0.25, drivenAway: 0.3 })
    const [kept, drivenAway] = [await member(0.3), await member(0.9, { amount: 9_000 })]
    await setInputs(kept, 1)
    await setInputs(drivenAway, 0)
    expect(await runInterventions()).toMatchObject({ learned: 1, opened: 1, failed: 0 })
    const report = await learned()
    expect(report).toMatchObject({ status: "in_force", rows: CASES })
    expect(Number(report?.areaByUplift)).toBeGreaterThan(Number(report?.areaByRisk))
    expect(await casesOf(drivenAway)).toEqual([])
    const [found] = await casesOf(kept)
    const detected = found?.timeline.find(({ kind }) => kind === "risk_detected")
    expect(detected).toMatchObject({ upliftSource: "learned" })
    expect(Math.abs(Number(detected?.uplift) - 0.25)).toBeLessThan(0.1)
    // It is trained again a week later, not sooner.
    expect(await runInterventions()).toMatchObject({ learned: 0 })
  }, 120_000)

  test("the assumed uplift holds while there are too few cases to learn from", async () => {
    await past({ kept: 0.3, drivenAway: -0.5 })
    const customer = await member(0.4)
    expect(await runInterventions()).toMatchObject({ learned: 1, opened: 1 })
    expect(await learned()).toMatchObject({ status: "too_few", treatedLost: 0, keptByUplift: null })
    const [found] = await casesOf(customer)
    expect(found?.timeline.find(({ kind }) => kind === "risk_detected")).toMatchObject({ upliftSource: "assumed" })
  }, 60_000)
})
