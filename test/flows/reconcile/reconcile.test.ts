/**
 * Events that the provider did not deliver are found, fetched and counted; what is out of reach is listed. Over 300 lines because
 * all tests compare with one provider.
 */
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { addCompany, newApiKey } from "../../support/actions/companies.ts"
import { caseOf, messages, payInvoice } from "../../support/actions/members.ts"
import {
  DAY_MS,
  type Event,
  MINUTE_MS,
  putEvents,
  reconcile,
  reconcileFully,
  recordedIds,
  subscriptionObject,
} from "../../support/actions/reconcile.ts"
import { envelope, fresh, invoiceEvent, sendStripe, stripeSignature } from "../../support/events/providers.ts"
import { putProviderObject, setSwitchForAll } from "../../support/world/external-services.ts"
import { runInProcess } from "../../support/world/run-in-process.ts"
import {
  advanceClock,
  api,
  mailbox,
  reset,
  runHeartbeats,
  setFault,
  sql,
  waitUntilProcessed,
  world,
  worldNow,
} from "../../support/world/world.ts"

beforeEach(reset)
afterEach(async () => {
  for (const target of ["stripe-api", "postgres", "qstash"]) await setFault(target, "off")
})

const A = world().companyId
const NOTHING = { missing: 0, fetched: 0 }

/** A failed and then paid invoice of each customer, over the last 29 days: 250 events of 50 members. */
function months(now: Date, members: number): Event[] {
  const at = (index: number, minutes: number) =>
    new Date(now.getTime() - 29 * DAY_MS + index * (28 / members) * DAY_MS + minutes * MINUTE_MS)
  return Array.from({ length: members }, (_, index) => {
    const [customer, invoice] = [fresh("cus"), fresh("in")]
    const invoiceOf = (type: string, minutes: number, attempt = 1) =>
      invoiceEvent({ type, at: at(index, minutes), customer, invoice, attempt })
    return [
      envelope("customer.created", at(index, 0), fresh("evt"), {
        ...{ id: customer, object: "customer", name: "Ann Example", email: `${customer}@example.com`, phone: null },
      }),
      invoiceOf("invoice.payment_failed", 10),
      invoiceOf("invoice.payment_failed", 500, 2),
      invoiceOf("invoice.paid", 900),
      invoiceOf("invoice.payment_succeeded", 900),
    ]
  }).flat()
}

const stateOfCases = () =>
  sql("select id, status, failure_count, recovered_minor, opened_at, closed_at, cause from recovery_cases order by id")

describe("events that Stripe did not deliver", () => {
  test("any number of 250 over 29 days are fetched, counted, and found once", async () => {
    const events = months(await worldNow(), 50)
    await putEvents(events)
    // Three of ten, of every kind.
    const lost = new Set(events.filter((_, index) => (index * 62) % 97 < 29).map(({ id }) => id))
    for (const event of events) if (!lost.has(event.id)) expect((await sendStripe(event)).status).toBe(200)
    await waitUntilProcessed()

    const reports = await reconcileFully()
    const sum = (name: "missing" | "fetched" | "outOfReach") =>
      reports.reduce((total, report) => total + report[name], 0)
    expect([sum("missing"), sum("fetched"), sum("outOfReach")]).toEqual([lost.size, lost.size, 0])
    expect(reports.reduce((most, report) => Math.max(most, report.checked), 0)).toBe(events.length)
    expect(await recordedIds()).toEqual(events.map(({ id }) => id).sort())
    await waitUntilProcessed()
    const cases = await stateOfCases()
    expect(cases).toHaveLength(50)
    expect(new Set(cases.map(({ status, failure_count: count }) => `${status} ${count}`))).toEqual(
      new Set(["recovered 2"]),
    )

    const again = await reconcile()
    expect(again.body).toMatchObject({ ...NOTHING, outOfReach: 0, isComplete: true })
    expect(await stateOfCases()).toEqual(cases)
  })

  test("a lost failure gives one nudge; with its lost payment none", async () => {
    const now = await worldNow()
    const at = (minutes: number) => new Date(now.getTime() - minutes * MINUTE_MS)
    const [unpaid, paid] = [fresh("cus"), fresh("cus")]
    const [open, closed] = [fresh("in"), fresh("in")]
    await putEvents([
      invoiceEvent({ type: "invoice.payment_failed", at: at(30), customer: unpaid, invoice: open }),
      invoiceEvent({ type: "invoice.payment_failed", at: at(2 * 1440), customer: paid, invoice: closed }),
      invoiceEvent({ type: "invoice.paid", at: at(2 * 1440 - 60), customer: paid, invoice: closed }),
    ])
    const { body } = await reconcile()
    expect(body).toMatchObject({ missing: 3, fetched: 3 })
    const sent = await messages(1)
    await reconcile()
    await advanceClock("PT1H")
    expect(sent.map(({ to }) => to)).toEqual([`${unpaid}@example.com`])
    expect(await mailbox()).toHaveLength(1)
    expect(await caseOf(closed)).toMatchObject({ status: "recovered", nudges: [] })
  })

  test("events in test mode do not count as the first received event: earlier failures are history", async () => {
    const began = await worldNow()
    const event = invoiceEvent({ type: "invoice.paid", at: began, customer: fresh("cus"), invoice: fresh("in") })
    const body = JSON.stringify(event)
    const signature = await stripeSignature(body, Math.floor(began.getTime() / 1000))
    const url = `${world().vars.APP_URL}/api/webhooks/stripe`
    const request = new Request(url, { method: "POST", body, headers: { "stripe-signature": signature } })
    expect((await runInProcess(request, null, { STRIPE_MODE: "live" })).status).toBe(200)
    expect(await sql("select status, error from webhook_events")).toEqual([{ status: "unhandled", error: "test_mode" }])

    await advanceClock("P5D")
    const invoice = fresh("in")
    const at = new Date((await worldNow()).getTime() - 4 * DAY_MS)
    await putEvents([invoiceEvent({ type: "invoice.payment_failed", at, customer: fresh("cus"), invoice })])
    expect((await reconcileFully()).reduce((sum, { fetched }) => sum + fetched, 0)).toBe(1)
    await advanceClock("PT1H")
    expect(await caseOf(invoice)).toMatchObject({ status: "open", nudges: [] })
    expect(await mailbox()).toEqual([])
  }, 60_000)

  test("a payment of the last minute is fetched together with its failure", async () => {
    const now = await worldNow()
    const [customer, invoice] = [fresh("cus"), fresh("in")]
    const at = (seconds: number) => new Date(now.getTime() - seconds * 1000)
    await putEvents([
      invoiceEvent({ type: "invoice.payment_failed", at: at(600), customer, invoice }),
      invoiceEvent({ type: "invoice.paid", at: at(20), customer, invoice }),
    ])
    expect((await reconcile()).body).toMatchObject({ missing: 2, fetched: 2 })
    expect(await caseOf(invoice)).toMatchObject({ status: "recovered", nudges: [] })
  })

  test("a webhook that may still arrive is not missing", async () => {
    const [customer, invoice] = [fresh("cus"), fresh("in")]
    const event = invoiceEvent({ type: "invoice.payment_failed", at: await worldNow(), customer, invoice })
    await putEvents([event])
    expect((await reconcile()).body).toMatchObject(NOTHING)
    expect(await recordedIds()).toEqual([])
    expect((await sendStripe(event)).body).toMatchObject({ duplicate: false })
  })

  test("the scheduled job finds them within a quarter of an hour, and logs it", async () => {
    await runHeartbeats(["reconcile"])
    await advanceClock("PT16M")
    const [customer, invoice] = [fresh("cus"), fresh("in")]
    await putEvents([invoiceEvent({ type: "invoice.payment_failed", at: await worldNow(), customer, invoice })])
    await advanceClock("PT17M")
    expect(await caseOf(invoice)).toMatchObject({ status: "open" })
    const { body } = await api<{ data: { kind: string; missing: number }[] }>("/api/reconciliations?provider=stripe")
    expect(body.data.filter(({ missing }) => missing > 0)).toMatchObject([{ kind: "recent", missing: 1, fetched: 1 }])
    const runs = await sql("select source, outcome from job_runs where job = 'reconcile'")
    expect(new Set(runs.map(({ outcome }) => outcome))).toEqual(new Set(["compared"]))
  })

  test("what is older than the provider's list is reported as out of reach", async () => {
    const now = await worldNow()
    const old = new Date(now.getTime() - 35 * DAY_MS)
    const [lost, kept] = [fresh("evt"), fresh("evt")]
    const event = (id: string, at: Date) =>
      invoiceEvent({ type: "invoice.paid", at, customer: fresh("cus"), invoice: fresh("in"), id })
    await putEvents([event(lost, old), event(kept, new Date(now.getTime() - 29 * DAY_MS))])
    const since = new Date(now.getTime() - 40 * DAY_MS).toISOString()
    const { body } = await reconcile({ since, provider: "stripe" })
    expect(body).toMatchObject({ missing: 1, fetched: 1, outOfReach: 1 })
    const [full] = body.data.filter(({ kind }) => kind === "full")
    expect(full?.details.outOfReach).toMatchObject([{ reason: "older_than_event_list", from: since }])
    expect(await recordedIds()).toEqual([kept])
  })

  test("after a gap longer than the list, the time in between is reported as out of reach", async () => {
    await reconcile({ provider: "stripe" })
    await sql("update reconciliation_positions set complete_until = complete_until - interval '45 days'")
    const { body } = await reconcile({ provider: "stripe" })
    const [recent] = body.data.filter(({ kind }) => kind === "recent")
    expect(recent).toMatchObject({ outOfReach: 1, isComplete: true })
    const [gap] = recent?.details.outOfReach ?? []
    const days = (Date.parse(String(gap?.to)) - Date.parse(String(gap?.from))) / DAY_MS
    expect(days).toBeGreaterThan(14.9)
    expect(days).toBeLessThan(15.1)
  })

  test("an unreadable event is reported and does not block others", async () => {
    const now = await worldNow()
    const good = invoiceEvent({
      type: "invoice.paid",
      at: new Date(now.getTime() - DAY_MS * 2),
      customer: fresh("cus"),
      invoice: fresh("in"),
    })
    await putEvents([good])
    await putProviderObject("stripe", "events", "evt_broken", {
      created: Math.floor(now.getTime() / 1000) - 200_000,
      type: "",
    })
    const { body } = await reconcile({ provider: "stripe" })
    expect(body).toMatchObject({ missing: 1, fetched: 1, outOfReach: 1, isComplete: true })
    const [full] = body.data.filter(({ kind }) => kind === "full")
    expect(full?.details.outOfReach).toEqual([{ reason: "unreadable", providerEventId: "evt_broken" }])
  })

  test("while processing is off they are stored as held", async () => {
    await setSwitchForAll("WEBHOOK_PROCESSING_ENABLED", false)
    await advanceClock("PT10S")
    const at = new Date((await worldNow()).getTime() - DAY_MS)
    await putEvents([
      invoiceEvent({ type: "invoice.payment_failed", at, customer: fresh("cus"), invoice: fresh("in") }),
    ])
    expect((await reconcile()).body).toMatchObject({ fetched: 1 })
    expect(await sql("select status from webhook_events")).toEqual([{ status: "held" }])
    expect(await mailbox()).toHaveLength(0)
  })
})

describe("an interrupted pass", () => {
  test("by an API that is down says so, and finds everything when it is back", async () => {
    const events = months(await worldNow(), 10)
    await putEvents(events)
    for (const mode of ["error", "down"]) {
      await setFault("stripe-api", mode)
      const { status, body } = await reconcile({ provider: "stripe" })
      expect([mode, status, body.isComplete, body.fetched]).toEqual([mode, 200, false, 0])
      expect(body.data.map(({ details }) => details.stoppedBy)).toEqual(body.data.map(() => "provider_unavailable"))
    }
    await setFault("stripe-api", "off")
    await advanceClock("PT3M") // the circuit breaker is open for a while
    const reports = await reconcileFully()
    expect(reports.reduce((sum, { fetched }) => sum + fetched, 0)).toBe(events.length)
    expect(reports.map(({ details }) => details.stoppedBy)).toEqual(reports.map(() => null))
    expect(await recordedIds()).toEqual(events.map(({ id }) => id).sort())
    // A pass that could not begin is one report, not one per attempt.
    expect(await sql("select kind from reconciliations where provider = 'stripe' order by 1")).toEqual([
      { kind: "full" },
      { kind: "recent" },
    ])
  })

  test("keeps its position and counts over bounded steps and an API that fails half way", async () => {
    const now = await worldNow()
    // More than one step fetches.
    const events = Array.from({ length: 620 }, (_, index) =>
      envelope("charge.updated", new Date(now.getTime() - 2 * DAY_MS - index * MINUTE_MS), `evt_many_${index}`, {
        ...{ id: `ch_many_${index}`, object: "charge", amount: 1, currency: "usd" },
      }),
    )
    await putEvents(events)
    const step = async () => {
      const { body } = await reconcile({ provider: "stripe" })
      return body.data.find(({ kind }) => kind === "full")
    }
    const first = await step()
    const half = { id: first?.id, isComplete: false, checked: 500, missing: 500, fetched: 500 }
    expect(first).toMatchObject({ ...half, finishedAt: null, details: { stoppedBy: null } })
    await setFault("stripe-api", "error")
    expect(await step()).toMatchObject({ ...half, details: { stoppedBy: "provider_unavailable" } })
    await setFault("stripe-api", "off")
    await advanceClock("PT20S") // the circuit breaker is open for a while
    const last = await step()
    expect(last).toMatchObject({ ...half, isComplete: true, checked: 620, missing: 620, fetched: 620 })
    expect(await recordedIds()).toEqual(events.map(({ id }) => id).sort())
  })

  test("loses nothing when Postgres fails in the middle", async () => {
    const events = months(await worldNow(), 20)
    await putEvents(events)
    const step = reconcile({ provider: "stripe" })
    await new Promise((resolve) => setTimeout(resolve, 400))
    await setFault("postgres", "error")
    await step.catch(() => undefined)
    await setFault("postgres", "off")
    await advanceClock("PT3M") // the lease of the lost worker
    await reconcileFully()
    await waitUntilProcessed()
    expect(await recordedIds()).toEqual(events.map(({ id }) => id).sort())
    expect((await stateOfCases()).map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => "recovered"))
  })

  test("runs once at a time: concurrent steps fetch everything once", async () => {
    const events = months(await worldNow(), 10)
    await putEvents(events)
    const answers = await Promise.all(Array.from({ length: 4 }, () => reconcile({ provider: "stripe" })))
    expect(answers.map(({ status }) => status).every((status) => status === 200 || status === 409)).toBe(true)
    await reconcileFully()
    const rows = await sql<{ sum: string }>("select sum(fetched) as sum from reconciliations where provider = 'stripe'")
    expect(rows).toEqual([{ sum: String(events.length) }])
  })
})

describe("companies", () => {
  test("are compared separately: each gets the events of its own account, and sees its own reports", async () => {
    const B = fresh("company")
    await addCompany(B)
    const account = fresh("acct").replace("_", "_1")
    await sql("insert into company_accounts values ($1, 'stripe', $2)", [B, account])
    const at = new Date((await worldNow()).getTime() - 3 * DAY_MS)
    const [own, other] = [fresh("evt"), fresh("evt")]
    const event = (id: string) =>
      invoiceEvent({ type: "invoice.payment_failed", at, customer: fresh("cus"), invoice: fresh("in"), id })
    await putEvents([event(own), { ...event(other), account }])

    const key = await newApiKey("admin", B)
    expect((await reconcile({ provider: "stripe" }, { key })).body).toMatchObject({ missing: 1, fetched: 1 })
    expect(await sql("select company_id, provider_event_id as id from webhook_events")).toEqual([
      { company_id: B, id: other },
    ])
    expect((await reconcile({ provider: "stripe" })).body).toMatchObject({ missing: 1, fetched: 1 })
    expect(await sql("select provider_event_id as id, account from webhook_events where company_id = $1", [A])).toEqual(
      [{ id: own, account: "" }],
    )
    for (const [company, of] of [
      [A, undefined],
      [B, key],
    ] as const) {
      const { body } = await api<{ data: { companyId: string }[] }>(
        "/api/reconciliations",
        of === undefined ? {} : { key: of },
      )
      expect(new Set(body.data.map(({ companyId }) => companyId))).toEqual(new Set([company]))
    }
  })

  test("without a known account get an error, and only admins may start a comparison", async () => {
    const B = fresh("company")
    await addCompany(B)
    const admin = await newApiKey("admin", B)
    expect((await reconcile({}, { key: admin })).status).toBe(409)
    expect((await reconcile({}, { key: await newApiKey("success-manager") })).status).toBe(403)
    expect((await api("/api/reconciliations", { key: await newApiKey("success-manager") })).status).toBe(200)
    expect((await api("/api/reconciliations", { key: await newApiKey("success-analyst") })).status).toBe(403)
    expect((await reconcile({ since: "2999-01-01T00:00:00Z" })).status).toBe(400)
    expect((await reconcile({ since: "yesterday" })).status).toBe(400)
  })
})

describe("subscriptions", () => {
  const SYNC = { provider: "stripe", subscriptions: true }

  test("that differ in any field are listed, repaired by an event, and then equal", async () => {
    const now = await worldNow()
    const later = (days: number) => new Date(now.getTime() + days * DAY_MS)
    const changes: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
      status: { status: "past_due" },
      cancelAt: { cancel_at: Math.floor(later(9).getTime() / 1000) },
      currentPeriodEnd: { periodEnd: later(40) },
      trialEnd: { status: "trialing", trial_end: Math.floor(later(5).getTime() / 1000) },
      quantity: { quantity: 3 },
      amount: { amount: 2999 },
      price: { price: "price_other" },
      paused: { pause_collection: { behavior: "void" } },
      none: {},
    }
    const ids: string[] = []
    for (const change of Object.values(changes)) {
      const [id, customer] = [fresh("sub"), fresh("cus")]
      ids.push(id)
      const ours = subscriptionObject({ id, customer, now })
      await sendStripe(envelope("customer.subscription.created", new Date(now.getTime() - DAY_MS), fresh("evt"), ours))
      await putProviderObject("stripe", "subscriptions", id, subscriptionObject({ id, customer, now, ...change }))
    }
    await waitUntilProcessed()
    const before = await recordedIds()
    const { body } = await reconcile(SYNC)
    const report = body.data.find(({ kind }) => kind === "subscriptions")
    expect(report).toMatchObject({ checked: 9, repaired: 8, outOfReach: 0, isComplete: true })
    const fields = new Map(ids.map((id, index) => [id, Object.keys(changes)[index]]))
    const found = Map.groupBy(report?.details.differences ?? [], ({ subscriptionId }) => fields.get(subscriptionId))
    expect([...found].map(([name, entries]) => `${name}: ${entries.map(({ field }) => field)}`).sort()).toEqual([
      "amount: items",
      "cancelAt: cancelAt",
      "currentPeriodEnd: currentPeriodEnd",
      "paused: paused",
      "price: items",
      "quantity: items",
      "status: status",
      "trialEnd: status,trialEnd",
    ])
    await waitUntilProcessed()
    const after = await recordedIds()
    expect(after.filter((id) => !before.includes(id)).every((id) => id.startsWith("sync_sub_"))).toBe(true)
    expect(after).toHaveLength(before.length + 8)
    expect((await reconcile(SYNC)).body).toMatchObject({ differences: 0, repaired: 0, ...NOTHING })
    expect(await recordedIds()).toEqual(after)
    expect(await sql("select kind, status from recovery_cases")).toEqual([{ kind: "cancellation", status: "open" }])
  })

  test("that ended at Stripe end here, those that Stripe does not know are unchanged and reported", async () => {
    const now = await worldNow()
    const [ended, gone] = [fresh("sub"), fresh("sub")]
    const customers = new Map([ended, gone].map((id) => [id, fresh("cus")]))
    for (const [id, customer] of customers) {
      const object = subscriptionObject({ id, customer, now })
      await sendStripe(
        envelope("customer.subscription.created", new Date(now.getTime() - DAY_MS), fresh("evt"), object),
      )
    }
    await waitUntilProcessed()
    await putProviderObject("stripe", "subscriptions", ended, {
      ...subscriptionObject({ id: ended, customer: customers.get(ended) ?? "", now, status: "canceled" }),
      ended_at: Math.floor(now.getTime() / 1000) - 3600,
    })
    const { body } = await reconcile(SYNC)
    const report = body.data.find(({ kind }) => kind === "subscriptions")
    expect(report).toMatchObject({ repaired: 1, outOfReach: 1, isComplete: true })
    expect(report?.details.outOfReach).toEqual([{ reason: "unknown_to_provider", subscriptionId: gone }])
    await waitUntilProcessed()
    expect(await sql("select id, status from subscriptions order by id = $1", [gone])).toEqual([
      { id: ended, status: "canceled" },
      { id: gone, status: "active" },
    ])
    // A subscription that is active again at the provider becomes active here; within one second the end would win.
    await advanceClock("PT2S")
    await putProviderObject(
      "stripe",
      "subscriptions",
      ended,
      subscriptionObject({ id: ended, customer: customers.get(ended) ?? "", now }),
    )
    await reconcile(SYNC)
    await waitUntilProcessed()
    expect(await sql("select status from subscriptions where id = $1", [ended])).toEqual([{ status: "active" }])
  })

  test("that were never reported are added; a difference that recurs is repaired again", async () => {
    const now = await worldNow()
    const [id, customer] = [fresh("sub"), fresh("cus")]
    const at = (minutes: number) => new Date(now.getTime() + minutes * MINUTE_MS)
    const show = (more: Record<string, unknown>) =>
      putProviderObject("stripe", "subscriptions", id, subscriptionObject({ id, customer, now, ...more }))
    const status = async () => (await sql("select status from subscriptions where id = $1", [id]))[0]?.status
    await show({ status: "past_due" })
    expect((await reconcile(SYNC)).body).toMatchObject({ repaired: 1 })
    expect(await status()).toBe("past_due")
    await advanceClock("PT2M")
    await sendStripe(
      envelope("customer.subscription.updated", at(1), fresh("evt"), subscriptionObject({ id, customer, now })),
    )
    await waitUntilProcessed()
    expect(await status()).toBe("active")
    expect((await reconcile(SYNC)).body).toMatchObject({ repaired: 1 })
    expect(await status()).toBe("past_due")
    await payInvoice(customer, fresh("in"))
    expect((await reconcile(SYNC)).body).toMatchObject({ repaired: 0, differences: 0 })
  })
})
