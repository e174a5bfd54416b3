/**
 * Thin events of Stripe: recorded before the answer, asked for after it, and one fact with their snapshot twin, whichever
 * comes first and whether the API is there or not. One case, one message, always.
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
  worldNow,
} from "../../support/world/world.ts"

/** Everything is lived so many times, by another member each. */
const TIMES = 5

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

/** A failed bill as both kinds of event tell it. `twin`: where Stripe says that they tell the same. */
async function failure(twin: "in the event" | "when asked" | "nowhere"): Promise<Failure> {
  const [customer, invoice, thinId] = [fresh("cus"), fresh("in"), fresh("evt_thin")]
  const at = await worldNow()
  const snapshot = invoiceEvent({ type: "invoice.payment_failed", at, customer, invoice })
  await putProviderObject("stripe", "invoices", invoice, (snapshot.data as { object: object }).object)
  if (twin !== "nowhere") await putProviderObject("stripe", "events", snapshot.id, snapshot)
  const thin = {
    id: thinId,
    object: "v2.core.event",
    type: "v1.invoice.payment_failed",
    created: at.toISOString(),
    livemode: false,
    related_object: { id: invoice, type: "invoice", url: `/v1/invoices/${invoice}` },
    ...(twin === "in the event" && { snapshot_event: snapshot.id }),
  }
  if (twin === "when asked") {
    await putProviderObject("stripe", "core_events", thinId, {
      ...thin,
      snapshot_event: snapshot.id,
      changes: { before: null },
    })
  }
  return { customer, invoice, snapshot, thin }
}

const failures = (twin: Parameters<typeof failure>[0]) =>
  Promise.all(Array.from({ length: TIMES }, () => failure(twin)))

async function deliver(...events: readonly unknown[]): Promise<void> {
  for (const event of events) expect((await sendStripe(event)).status).toBe(200)
}

/** One failure, one case, one message for each; and nothing is left to do. */
async function expectOneCaseEach(lives: readonly Failure[]): Promise<void> {
  await allDone()
  // Nobody says why the payments failed: the messages wait a little for that.
  await advanceClock("PT1M")
  await waitFor(async () => (await mailbox()).length >= lives.length)
  const sent = await mailbox()
  for (const { customer, invoice } of lives) {
    expect(sent.filter(({ to }) => to === `${customer}@example.com`)).toHaveLength(1)
    expect(
      await sql("select status, failure_count, amount_minor::int from recovery_cases where invoice_id = $1", [invoice]),
    ).toEqual([{ status: "open", failure_count: 1, amount_minor: 1999 }])
  }
  expect(sent).toHaveLength(lives.length)
}

const allDone = () =>
  waitFor(async () => {
    const rows = await sql("select 1 from webhook_events where status in ('received', 'failed', 'held')")
    return rows.length === 0
  }, 130)

const eventOf = async (id: string) => {
  const { body } = await api<{ data: Record<string, unknown>[] }>(`/api/events?providerEventId=${id}`)
  return body.data[0]
}

/** The ways in which the two may come; each is lived five times. */
const ORDERS: readonly ((life: Failure) => Promise<unknown>)[] = [
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

describe.each(["in the event", "when asked", "nowhere"] as const)("with its twin named %s", (twin) => {
  test("a thin event alone, before, after and together with its snapshot is one case and one message", async () => {
    const told = await Promise.all(ORDERS.map(async (tell) => ({ tell, lives: await failures(twin) })))
    for (const { tell, lives } of told) await Promise.all(lives.map(tell))
    await expectOneCaseEach(told.flatMap(({ lives }) => lives))
    for (const { thin, snapshot } of told[0]?.lives ?? []) {
      expect(await eventOf(thin.id)).toMatchObject({ status: "processed", error: null, type: thin.type })
      // The twin is there under its own name, as if it had come by itself.
      if (twin === "nowhere") expect(await eventOf(snapshot.id)).toBeUndefined()
      else expect(await eventOf(snapshot.id)).toMatchObject({ status: "processed", type: "invoice.payment_failed" })
    }
  })
})

test("while the API is away the answer is 200 all the same, and the case comes when it is back", async () => {
  await setFault("stripe-api", "down")
  const at = await worldNow()
  await setFault("stripe-api", "off")
  const lives = await failures("in the event")
  await setFault("stripe-api", "down")
  for (const { thin } of lives) await deliver(thin)
  await advanceClock("PT10M")
  expect(await sql("select 1 from recovery_cases")).toEqual([])
  const [life] = lives
  expect(await eventOf(life?.thin.id ?? "")).toMatchObject({ status: "failed", error: "provider_api_away" })
  await setFault("stripe-api", "off")
  await advanceClock("PT5H") // however often it was tried meanwhile, the next try is not further away
  await expectOneCaseEach(lives)
  const opened = await sql<{ opened_at: Date }>("select opened_at from recovery_cases")
  // The case is as old as the failure, not as the answer of the API.
  for (const { opened_at } of opened) expect(Math.abs(opened_at.getTime() - at.getTime())).toBeLessThan(60_000)
})

test("an API that stays away leaves the event to a person, who can have it read again", async () => {
  const lost = await failure("nowhere")
  await setFault("stripe-api", "error")
  await deliver(lost.thin)
  const sweep = async () => {
    // Hours later: the waits between tries double, and the clock need not go through them all.
    await sql("update webhook_events set next_attempt_at = received_at, attempts = greatest(attempts, 6)")
    expect((await api("/jobs/sweep", { method: "POST" })).status).toBe(200)
  }
  await sweep()
  expect(await eventOf(lost.thin.id)).toMatchObject({ status: "failed", attempts: 7, error: "provider_api_away" })
  await sweep()
  const dead = await eventOf(lost.thin.id)
  expect(dead).toMatchObject({ status: "dead", error: "provider_api_away", attempts: 8 })
  await setFault("stripe-api", "off")
  await advanceClock("PT3M") // it is left alone for a while after that
  const replayed = await api(`/api/events/${dead?.id}/replay`, { method: "POST" })
  expect(replayed.body).toMatchObject({ status: "processed" })
  await expectOneCaseEach([lost])
})

test("what we do not read is not asked for", async () => {
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

test("an object that is gone is said to be gone", async () => {
  const { thin } = await failure("nowhere")
  const related_object = { id: "in_gone", type: "invoice", url: "/v1/invoices/in_gone" }
  await deliver({ ...thin, related_object })
  await waitFor(async () => (await eventOf(thin.id))?.status === "unhandled")
  expect(await eventOf(thin.id)).toMatchObject({ error: "thin event, and its object is gone" })
})

test("a bill that was paid before anybody could ask is a recovered case, and nobody is reminded", async () => {
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

test("a thin event that came while Postgres was away is asked for when it is back", async () => {
  const parked = await failure("in the event")
  await setFault("postgres", "down")
  await deliver(parked.thin)
  await setFault("postgres", "off")
  await advanceClock("PT10M")
  await expectOneCaseEach([parked])
})
