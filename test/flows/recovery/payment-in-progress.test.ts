/** Reminders wait while a bank debit is in progress, and continue when it fails, is canceled, or times out. */
import { beforeEach, expect, test } from "vitest"
import { caseOf, failPayment, messages, payInvoice } from "../../support/actions/members.ts"
import { envelope, fresh, sendStripe } from "../../support/events/providers.ts"
import { advanceClock, api, mailbox, reset, sql, waitUntilProcessed, worldNow } from "../../support/world/world.ts"

beforeEach(reset)

const AMOUNT = 1999

/** A member who pays by bank debit six hours after the first reminder. */
async function debit() {
  const member = { customer: fresh("cus"), invoice: fresh("in"), intent: fresh("pi"), charge: fresh("py") }
  const money = { customer: member.customer, currency: "usd", amount: AMOUNT }
  const sendEvent = async (type: string, object: object) => {
    await sendStripe(envelope(type, await worldNow(), fresh("evt"), { ...money, ...object }))
    await waitUntilProcessed()
  }
  const intent = (status: string) => ({ id: member.intent, object: "payment_intent", status, amount_received: 0 })
  const charge = (status: string, more: object = {}) => ({
    ...{ id: member.charge, object: "charge", payment_intent: member.intent, status, paid: false },
    ...{ payment_method_details: { type: "us_bank_account" }, ...more },
  })
  await failPayment(member.customer, member.invoice)
  await messages(1)
  await advanceClock("PT6H")
  await sendEvent("payment_intent.processing", { ...intent("processing"), payment_method_types: ["us_bank_account"] })
  await sendEvent("charge.pending", charge("pending"))
  return { ...member, sendEvent, intent, charge }
}

const reminders = async (invoice: string) =>
  (await caseOf(invoice)).nudges.map(({ step, status, reason }) => [step, status, reason])

test("no reminder is sent while it is in progress, and the case shows it", async () => {
  const { invoice } = await debit()
  const { body } = await api<{ paymentInProgress: unknown }>(`/api/cases/payment_${invoice}`)
  expect(body.paymentInProgress).not.toBeNull()
  await advanceClock("P2D")
  await advanceClock("P3D")
  expect(await mailbox()).toHaveLength(1)
  expect(await reminders(invoice)).toEqual([
    [0, "sent", null],
    [2, "planned", "payment_in_progress"],
    [4, "planned", "payment_in_progress"],
  ])
})

test("when it fails, the overdue reminder is sent at once, the next one two days later", async () => {
  const { invoice, sendEvent, intent, charge } = await debit()
  await advanceClock("P4D")
  expect(await mailbox()).toHaveLength(1)
  const failedAt = await worldNow()
  await sendEvent("charge.failed", charge("failed", { failure_code: "insufficient_funds" }))
  await sendEvent("payment_intent.payment_failed", intent("requires_payment_method"))
  await advanceClock("PT2M")
  expect(await mailbox()).toHaveLength(2)
  await advanceClock("P2DT2M")
  const sent = await mailbox()
  expect(sent.map(({ subject }) => subject.split(" ")[0])).toEqual(["Your", "Reminder:", "Last"])
  const daysAfter = sent.slice(1).map(({ at }) => (Date.parse(at) - failedAt.getTime()) / 86_400_000)
  expect(daysAfter[0]).toBeLessThan(0.01)
  expect(daysAfter[1]).toBeCloseTo(2, 2)
  const late = await sql<{ seconds: string }>(
    "select extract(epoch from sent_at - due_at) as seconds from nudges where case_id = $1 and status = 'sent'",
    [`payment_${invoice}`],
  )
  expect(late.filter(({ seconds }) => Number(seconds) < 0 || Number(seconds) > 60)).toEqual([])
})

test("when it is canceled, reminders continue", async () => {
  const { sendEvent, intent } = await debit()
  await advanceClock("P3D")
  await sendEvent("payment_intent.canceled", { ...intent("canceled"), cancellation_reason: "requested_by_customer" })
  await advanceClock("PT2M")
  expect(await mailbox()).toHaveLength(2)
})

test("without a result, reminders continue after the longest time of such a debit", async () => {
  await debit()
  await advanceClock("P13D")
  expect(await mailbox()).toHaveLength(1)
  await advanceClock("P2D")
  expect(await mailbox()).toHaveLength(2)
})

test("an invoice that is voided and reissued later gets its reminders", async () => {
  const [customer, invoice, again] = [fresh("cus"), fresh("in"), fresh("in")]
  const start = Math.floor((await worldNow()).getTime() / 1000)
  const lines = [{ period: { start, end: start + 30 * 86_400 } }]
  const more = { lines: { object: "list", data: lines } }
  await failPayment(customer, invoice, { more })
  await messages(1)
  await sendStripe(
    envelope("invoice.voided", await worldNow(), fresh("evt"), { id: invoice, object: "invoice", customer }),
  )
  await waitUntilProcessed()
  expect(await reminders(invoice)).toEqual([
    [0, "sent", null],
    ...[2, 4].map((step) => [step, "suppressed", "case_closed"]),
  ])
  await advanceClock("PT1H")
  await failPayment(customer, again, { more })
  await waitUntilProcessed()
  await advanceClock("P4DT10M")
  expect((await mailbox()).map(({ subject }) => subject.split(" ")[0])).toEqual(["Your", "Reminder:", "Last"])
})

test("a recovery that was refunded in full is a zero in the summary", async () => {
  const [customer, invoice] = [fresh("cus"), fresh("in")]
  const recovered = async () => (await api<{ recoveredMinor: object }>("/api/summary")).body.recoveredMinor
  await failPayment(customer, invoice)
  await payInvoice(customer, invoice)
  await waitUntilProcessed()
  expect(await recovered()).toEqual({ usd: AMOUNT })
  const charge = { id: fresh("ch"), object: "charge", customer, invoice, currency: "usd", amount: AMOUNT }
  await sendStripe(
    envelope("charge.refunded", await worldNow(), fresh("evt"), { ...charge, amount_refunded: AMOUNT, refunded: true }),
  )
  await waitUntilProcessed()
  expect(await recovered()).toEqual({ usd: 0 })
})
