/** The main job: a payment fails, the member is nudged on days 0, 2 and 4, and pays. */
import { beforeEach, expect, test } from "vitest"
import { envelope, fresh, invoiceEvent, sendStripe, sendWhop } from "../../support/events/providers.ts"
import { advanceClock, api, mailbox, reset, waitFor, waitUntilProcessed, worldNow } from "../../support/world/world.ts"

interface CaseBody {
  readonly id: string
  readonly status: string
  readonly kind: string
  readonly failureCount: number
  readonly amountMinor: number
  readonly cause: string | null
  readonly nudges: readonly {
    readonly step: number
    readonly status: string
    readonly channel: string
    readonly reason: string | null
  }[]
  readonly timeline: readonly { readonly kind: string }[]
}

beforeEach(reset)

const fail = async (customer: string, invoice: string, more: Partial<Parameters<typeof invoiceEvent>[0]> = {}) =>
  sendStripe(invoiceEvent({ type: "invoice.payment_failed", at: await worldNow(), customer, invoice, ...more }))

const pay = async (customer: string, invoice: string) =>
  sendStripe(invoiceEvent({ type: "invoice.paid", at: await worldNow(), customer, invoice }))

const messages = (count: number) =>
  waitFor(async () => {
    const sent = await mailbox()
    return sent.length >= count ? sent : null
  })

const caseOfInvoice = async (invoice: string): Promise<CaseBody> => {
  await waitUntilProcessed()
  const list = await api<{ data: { id: string }[] }>(`/api/cases?invoiceId=${invoice}`)
  const found = await api<CaseBody>(`/api/cases/${list.body.data[0]?.id}`)
  return found.body
}

test("three nudges, on days 0, 2 and 4, not more", async () => {
  const [customer, invoice] = [fresh("cus"), fresh("in")]
  await fail(customer, invoice)
  const [first] = await messages(1)
  expect(first).toMatchObject({ channel: "email", to: `${customer}@example.com` })
  expect(first?.body).toContain("Ann")
  expect(first?.body).toContain("$19.99")
  expect(first?.headers?.["List-Unsubscribe-Post"]).toBe("List-Unsubscribe=One-Click")

  await advanceClock("P1D")
  expect(await mailbox()).toHaveLength(1)
  await advanceClock("P1D")
  expect(await mailbox()).toHaveLength(2)
  await advanceClock("P2D")
  expect(await mailbox()).toHaveLength(3)
  await advanceClock("P10D")
  expect(await mailbox()).toHaveLength(3)

  const recovery = await caseOfInvoice(invoice)
  expect(recovery.nudges.map(({ step, status }) => [step, status])).toEqual([
    [0, "sent"],
    [2, "sent"],
    [4, "sent"],
  ])
  expect(recovery.timeline.map((fact) => fact.kind)).toEqual(
    expect.arrayContaining(["payment_failed", "nudge_planned", "nudge_sent"]),
  )
})

test("a payment ends the case and its nudges", async () => {
  const [customer, invoice] = [fresh("cus"), fresh("in")]
  await fail(customer, invoice)
  await messages(1)
  await advanceClock("PT12H")
  await fail(customer, invoice, { attempt: 2 })
  await advanceClock("PT12H")
  await pay(customer, invoice)
  await advanceClock("P10D")

  expect(await mailbox()).toHaveLength(1)
  const recovery = await caseOfInvoice(invoice)
  expect(recovery).toMatchObject({ status: "recovered", failureCount: 2, amountMinor: 1999, cause: "nudge" })
  expect(recovery.nudges.map(({ step, status, reason }) => [step, status, reason])).toEqual([
    [0, "sent", null],
    [2, "suppressed", "case_closed"],
    [4, "suppressed", "case_closed"],
  ])
  const summary = await api<{ recoveredMinor: Record<string, number> }>("/api/summary")
  expect(summary.body.recoveredMinor).toEqual({ usd: 1999 })
})

test("a fraud code gets no message", async () => {
  const [customer, invoice] = [fresh("cus"), fresh("in")]
  const at = await worldNow()
  await sendStripe(
    envelope("charge.failed", at, fresh("evt"), {
      id: fresh("ch"),
      object: "charge",
      customer,
      amount: 1999,
      currency: "usd",
      status: "failed",
      failure_code: "card_declined",
      outcome: { reason: "stolen_card", type: "issuer_declined", network_status: "declined_by_network" },
      payment_intent: fresh("pi"),
    }),
  )
  await fail(customer, invoice)
  await waitUntilProcessed()
  await advanceClock("P6D")
  expect(await mailbox()).toEqual([])
  const recovery = await caseOfInvoice(invoice)
  expect(
    recovery.nudges.every((nudge) => nudge.status === "suppressed" && nudge.reason === "silent_decline_code"),
  ).toBe(true)
  expect(recovery.nudges.length).toBeGreaterThan(0)
})

test("a first invoice that fails opens no case and no nudge", async () => {
  const [customer, invoice] = [fresh("cus"), fresh("in")]
  await fail(customer, invoice, { billingReason: "subscription_create" })
  await waitUntilProcessed()
  await advanceClock("P5D")
  expect(await mailbox()).toEqual([])
  expect((await api<{ data: unknown[] }>("/api/cases")).body.data).toEqual([])
})

test("a chargeback reverses the recovery, and a won dispute restores it", async () => {
  const [customer, invoice, charge] = [fresh("cus"), fresh("in"), fresh("ch")]
  await fail(customer, invoice)
  await advanceClock("PT1H")
  const at = await worldNow()
  await sendStripe(invoiceEvent({ type: "invoice.paid", at, customer, invoice, more: { charge } }))
  const dispute = { id: fresh("dp"), object: "dispute", charge, amount: 1999, currency: "usd", reason: "fraudulent" }
  // A dispute has no customer: it is linked to one through its charge.
  await advanceClock("P1D")
  await sendStripe(
    envelope("charge.dispute.created", await worldNow(), fresh("evt"), { ...dispute, status: "needs_response" }),
  )
  expect((await caseOfInvoice(invoice)).status).toBe("reversed")
  await advanceClock("P1D")
  await sendStripe(envelope("charge.dispute.closed", await worldNow(), fresh("evt"), { ...dispute, status: "won" }))
  expect((await caseOfInvoice(invoice)).status).toBe("recovered")
})

test("a dispute that arrives first waits for its customer and ends in the same state", async () => {
  const [customer, invoice, charge] = [fresh("cus"), fresh("in"), fresh("ch")]
  const now = (await worldNow()).getTime()
  const at = (minutesAgo: number) => new Date(now - minutesAgo * 60_000)
  const dispute = {
    id: fresh("dp"),
    object: "dispute",
    charge,
    amount: 1999,
    currency: "usd",
    reason: "fraudulent",
    status: "needs_response",
  }
  await sendStripe(envelope("charge.dispute.created", at(1), fresh("evt"), dispute))
  await sendStripe(invoiceEvent({ type: "invoice.paid", at: at(2), customer, invoice, more: { charge } }))
  await sendStripe(invoiceEvent({ type: "invoice.payment_failed", at: at(3), customer, invoice }))
  expect(await caseOfInvoice(invoice)).toMatchObject({ status: "reversed", failureCount: 1 })
})

test("a Whop payment that fails and succeeds is one recovered case", async () => {
  const [user, payment, membership] = [`user_${Date.now()}`, fresh("pay"), fresh("mem")]
  const event = async (type: string, more: Record<string, unknown>) => ({
    id: fresh("msg"),
    api_version: "v1",
    type,
    timestamp: (await worldNow()).toISOString(),
    company_id: "biz_demo",
    data: {
      id: payment,
      user: { id: user, name: "Ben Example", username: "ben", email: "ben@example.com" },
      membership: { id: membership, status: "past_due" },
      total: 29.99,
      subtotal: 29.99,
      currency: "usd",
      billing_reason: "subscription_cycle",
      payments_failed: 1,
      created_at: new Date(Date.now() - 60_000).toISOString(),
      ...more,
    },
  })
  expect(
    (await sendWhop(await event("payment.failed", { status: "open", failure_message: "insufficient_funds" }))).status,
  ).toBe(200)
  await messages(1)
  await advanceClock("P1D")
  await sendWhop(await event("payment.succeeded", { status: "paid", paid_at: (await worldNow()).toISOString() }))
  await waitUntilProcessed()
  const { body } = await api<{ data: Record<string, unknown>[] }>("/api/cases?provider=whop")
  expect(body.data).toHaveLength(1)
  expect(body.data[0]).toMatchObject({ status: "recovered", amountMinor: 2999, currency: "usd", provider: "whop" })
})
