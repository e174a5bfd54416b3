/**
 * Thin events of Stripe: recorded before the answer, looked up after it, and one fact together with their snapshot event, in any
 * order and with or without the API. Always one case and one message.
 */
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { fresh, invoiceEvent, sendStripe } from "../../support/events/providers.ts"
import { putProviderObject } from "../../support/world/external-services.ts"
import {
  advanceClock,
  api,
  mailbox,
  reset,
  setFault,
  sql,
  stats,
  waitFor,
  waitUntilProcessed,
  worldNow,
} from "../../support/world/world.ts"

/** Each scenario runs for so many members. */
const MEMBERS = 5

beforeEach(reset)
afterEach(async () => {
  for (const target of ["stripe-api", "postgres"]) await setFault(target, "off")
})

interface Failure {
  readonly customer: string
  readonly invoice: string
  readonly snapshot: ReturnType<typeof invoiceEvent>
  readonly thin: Readonly<Record<string, unknown>> & { readonly id: string }
}

/** A failed invoice as thin and snapshot event. `relation`: where Stripe names the snapshot. */
async function failure(relation: "in the event" | "when asked" | "nowhere"): Promise<Failure> {
  const [customer, invoice, thinId] = [fresh("cus"), fresh("in"), fresh("evt_thin")]
  const at = await worldNow()
  const snapshot = invoiceEvent({ type: "invoice.payment_failed", at, customer, invoice })
  await putProviderObject("stripe", "invoices", invoice, (snapshot.data as { object: object }).object)
  if (relation !== "nowhere") await putProviderObject("stripe", "events", snapshot.id, snapshot)
  const thin = {
    id: thinId,
    object: "v2.core.event",
    type: "v1.invoice.payment_failed",
    created: at.toISOString(),
    livemode: false,
    related_object: { id: invoice, type: "invoice", url: `/v1/invoices/${invoice}` },
    ...(relation === "in the event" && { snapshot_event: snapshot.id }),
  }
  if (relation === "when asked") {
    await putProviderObject("stripe", "core_events", thinId, {
      ...thin,
      snapshot_event: snapshot.id,
      changes: { before: null },
    })
  }
  return { customer, invoice, snapshot, thin }
}

const failures = (relation: Parameters<typeof failure>[0]) =>
  Promise.all(Array.from({ length: MEMBERS }, () => failure(relation)))

async function deliver(...events: readonly unknown[]): Promise<void> {
  for (const event of events) expect((await sendStripe(event)).status).toBe(200)
}

/** Expects one failure, one case and one message for each, and no work left. */
async function expectOneCaseEach(group: readonly Failure[]): Promise<void> {
  await allDone()
  // The decline reason is not reported: the messages wait a little for it.
  await advanceClock("PT1M")
  await waitFor(async () => (await mailbox()).length >= group.length)
  const sent = await mailbox()
  for (const { customer, invoice } of group) {
    expect(sent.filter(({ to }) => to === `${customer}@example.com`)).toHaveLength(1)
    expect(
      await sql("select status, failure_count, amount_minor::int from recovery_cases where invoice_id = $1", [invoice]),
    ).toEqual([{ status: "open", failure_count: 1, amount_minor: 1999 }])
  }
  expect(sent).toHaveLength(group.length)
}

const allDone = () => waitUntilProcessed(["received", "failed", "held"])

const eventOf = async (id: string) => {
  const { body } = await api<{ data: Record<string, unknown>[] }>(`/api/events?providerEventId=${id}`)
  return body.data[0]
}

/** The orders in which the two may arrive. */
const ORDERS: readonly ((first: Failure) => Promise<unknown>)[] = [
  ({ thin }) => deliver(thin, thin),
  ({ thin, snapshot }) =>
    deliver(thin)
      .then(allDone)
      .then(() => deliver(snapshot)),
  ({ thin, snapshot }) => deliver(thin, snapshot, thin),
  ({ thin, snapshot }) => deliver(snapshot, thin),
  ({ thin, snapshot }) =>
    deliver(snapshot)
      .then(allDone)
      .then(() => deliver(thin, snapshot)),
  ({ thin, snapshot }) => Promise.all([thin, snapshot, snapshot, thin].map((event) => deliver(event))),
]

describe.each(["in the event", "when asked", "nowhere"] as const)("with its snapshot named %s", (relation) => {
  test("a thin event alone, before, after and together with its snapshot is one case and one message", async () => {
    const delivered = await Promise.all(ORDERS.map(async (order) => ({ order, group: await failures(relation) })))
    for (const { order, group } of delivered) await Promise.all(group.map(order))
    await expectOneCaseEach(delivered.flatMap(({ group }) => group))
    for (const { thin, snapshot } of delivered[0]?.group ?? []) {
      expect(await eventOf(thin.id)).toMatchObject({ status: "processed", error: null, type: thin.type })
      // The snapshot event is stored under its own id, as if it had been delivered.
      if (relation === "nowhere") expect(await eventOf(snapshot.id)).toBeUndefined()
      else expect(await eventOf(snapshot.id)).toMatchObject({ status: "processed", type: "invoice.payment_failed" })
    }
  })
})

test("while the API is down the answer is 200, and the case opens when it is back", async () => {
  await setFault("stripe-api", "down")
  const at = await worldNow()
  await setFault("stripe-api", "off")
  const group = await failures("in the event")
  await setFault("stripe-api", "down")
  for (const { thin } of group) await deliver(thin)
  await advanceClock("PT10M")
  expect(await sql("select 1 from recovery_cases")).toEqual([])
  const [first] = group
  expect(await eventOf(first?.thin.id ?? "")).toMatchObject({ status: "failed", error: "provider_api_away" })
  await setFault("stripe-api", "off")
  await advanceClock("PT5H") // longer than the wait before the next attempt
  await expectOneCaseEach(group)
  const opened = await sql<{ opened_at: Date }>("select opened_at from recovery_cases")
  // The case has the time of the failure, not of the API's answer.
  for (const { opened_at } of opened) expect(Math.abs(opened_at.getTime() - at.getTime())).toBeLessThan(60_000)
})

test("an API that stays down makes the event a dead letter, which can be replayed", async () => {
  const lost = await failure("nowhere")
  await setFault("stripe-api", "error")
  await deliver(lost.thin)
  const sweep = async () => {
    // Hours later: the waits between attempts double.
    await sql("update webhook_events set next_attempt_at = received_at, attempts = greatest(attempts, 6)")
    expect((await api("/jobs/sweep", { method: "POST" })).status).toBe(200)
  }
  await sweep()
  expect(await eventOf(lost.thin.id)).toMatchObject({ status: "failed", attempts: 7, error: "provider_api_away" })
  await sweep()
  const dead = await eventOf(lost.thin.id)
  expect(dead).toMatchObject({ status: "dead", error: "provider_api_away", attempts: 8 })
  await setFault("stripe-api", "off")
  await advanceClock("PT3M") // the circuit breaker is open for a while
  const replayed = await api(`/api/events/${dead?.id}/replay`, { method: "POST" })
  expect(replayed.body).toMatchObject({ status: "processed" })
  await expectOneCaseEach([lost])
})

test("types that are not read are not looked up", async () => {
  const { thin } = await failure("in the event")
  await deliver(
    { ...thin, id: "evt_price", type: "v1.price.updated" },
    { ...thin, id: "evt_new", type: "v1.invoice.reincarnated" },
    { ...thin, id: "evt_v2", type: "v2.core.account.updated" },
  )
  expect(await eventOf("evt_price")).toMatchObject({ status: "unhandled", error: "not used" })
  expect(await eventOf("evt_new")).toMatchObject({ status: "unhandled", error: "unknown type" })
  expect(await eventOf("evt_v2")).toMatchObject({ status: "unhandled", error: "unknown type" })
  expect((await stats())["stripe-api"] ?? 0).toBe(0)
})

test("a deleted object is reported as deleted", async () => {
  const { thin } = await failure("nowhere")
  const related_object = { id: "in_gone", type: "invoice", url: "/v1/invoices/in_gone" }
  await deliver({ ...thin, related_object })
  await waitFor(async () => (await eventOf(thin.id))?.status === "unhandled")
  expect(await eventOf(thin.id)).toMatchObject({ error: "thin event, and its object is gone" })
})

test("an invoice that was paid before the look-up is a recovered case without reminders", async () => {
  const { thin, invoice, snapshot } = await failure("nowhere")
  const paidAt = Math.floor((await worldNow()).getTime() / 1000) + 1
  await putProviderObject("stripe", "invoices", invoice, {
    ...(snapshot.data as { object: object }).object,
    ...{ status: "paid", amount_paid: 1999, amount_remaining: 0, status_transitions: { paid_at: paidAt } },
  })
  await deliver(thin)
  await waitFor(async () => (await eventOf(thin.id))?.status === "processed")
  expect(await sql("select status, recovered_minor::int as minor from recovery_cases")).toEqual([
    { status: "recovered", minor: 1999 },
  ])
  await advanceClock("P5D")
  expect(await mailbox()).toEqual([])
})

test("a thin event that arrived while Postgres was down is looked up when it is back", async () => {
  const queued = await failure("in the event")
  await setFault("postgres", "down")
  await deliver(queued.thin)
  await setFault("postgres", "off")
  await advanceClock("PT10M")
  await expectOneCaseEach([queued])
})
