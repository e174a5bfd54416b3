/** A recorded invoice event of Stripe, with new ids for every request and parsed only once. */
import { createHmac } from "node:crypto"
import { readFileSync } from "node:fs"

/** Recorded from Stripe; about the size of an invoice event with one line. */
const RECORDED = new URL("../../test/fixtures/stripe/stripe-sync-engine/invoice_paid.json", import.meta.url)

/** Placeholders for the end of the ids, the end of the customer's ids, and the time. */
const MARK = "~id~"
const CUSTOMER_MARK = "~customer~"
const TIME_MARK = 9999999999

const AMOUNT_MINOR = 2900

/** Makes the body of an event of this moment, indented as by Stripe; its ids end in `tail`, the customer's in `customerTail`. */
export type EventMaker = (tail: string, customerTail: string) => string

export function eventMaker(type: "invoice.paid" | "invoice.payment_failed"): EventMaker {
  const isPaid = type === "invoice.paid"
  const event = JSON.parse(readFileSync(RECORDED, "utf8"))
  Object.assign(event, { type, created: TIME_MARK })
  Object.assign(event.data.object, {
    created: nowSeconds(),
    amount_due: AMOUNT_MINOR,
    amount_paid: isPaid ? AMOUNT_MINOR : 0,
    amount_remaining: isPaid ? 0 : AMOUNT_MINOR,
    attempt_count: 1,
    total: AMOUNT_MINOR,
    paid: isPaid,
    status: isPaid ? "paid" : "open",
  })
  const text = JSON.stringify(event, null, 2)
    .replaceAll(/"((?:evt|in|il|ii|ch|pi)_)\w{6,}"/g, `"$1${MARK}"`)
    .replaceAll(/"((?:cus|sub|si)_)\w{6,}"/g, `"$1${CUSTOMER_MARK}"`)
  return (tail, customerTail) =>
    text
      .replaceAll(MARK, tail)
      .replaceAll(CUSTOMER_MARK, customerTail)
      .replaceAll(String(TIME_MARK), String(nowSeconds()))
}

/** `Stripe-Signature` of a body, made at this moment. */
export function signatureOf(body: string, secret: string): string {
  const timestamp = nowSeconds()
  const mac = createHmac("sha256", secret).update(`${timestamp}.${body}`).digest("hex")
  return `t=${timestamp},v1=${mac}`
}

const nowSeconds = (): number => Math.floor(Date.now() / 1000)
