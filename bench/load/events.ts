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

/** Which events a load consists of. */
export interface EventSource {
  readonly type: "invoice.paid" | "invoice.payment_failed"
  /** `fresh`: a customer of its own for each event. `same`: one event repeated. Otherwise these in turn. */
  readonly customers: "fresh" | "same" | KnownCustomers
  /** Events happened so many days ago, a second after each other, so that no two of a customer share a second. */
  readonly daysAgo?: number
  /** The customer's address is in the event. */
  readonly hasAddress?: boolean
  readonly isSigned: boolean
}

/** So many customers of each prefix; their ids end in the prefix and a number from 0. */
export interface KnownCustomers {
  readonly prefixes: readonly string[]
  readonly count: number
}

/** A request: its body and its signature, made at this moment. */
export interface EventRequest {
  readonly body: string
  readonly signature: string
}

const DAY_SECONDS = 24 * 3600

/** Makes the next request each time. Ids contain `tag`, so that no two loads share one. */
export function nextRequest(source: EventSource, tag: string, secret: string): () => EventRequest {
  const bodyOf = eventMaker(source)
  const key = source.isSigned ? secret : "whsec_another_secret"
  const startSeconds = nowSeconds()
  let serial = 0
  const { customers, daysAgo } = source
  const secondsNow = (): number =>
    daysAgo === undefined ? nowSeconds() : startSeconds - daysAgo * DAY_SECONDS + serial
  const next = (): string => {
    if (customers === "same") return bodyOf(tag, tag, startSeconds)
    const tail = `${tag}${serial.toString(36)}`
    const body = bodyOf(tail, customers === "fresh" ? tail : customerAt(customers, serial), secondsNow())
    serial += 1
    return body
  }
  return () => {
    const body = next()
    return { body, signature: signatureOf(body, key) }
  }
}

const customerAt = ({ prefixes, count }: KnownCustomers, serial: number): string =>
  `${prefixes[serial % prefixes.length]}${Math.floor(serial / prefixes.length) % count}`

/** Makes the body of an event, indented as by Stripe; its ids end in `tail`, the customer's in `customerTail`. */
type EventMaker = (tail: string, customerTail: string, seconds: number) => string

function eventMaker({ type, hasAddress }: EventSource): EventMaker {
  const isPaid = type === "invoice.paid"
  const event = JSON.parse(readFileSync(RECORDED, "utf8"))
  Object.assign(event, { type, created: TIME_MARK })
  Object.assign(event.data.object, {
    created: TIME_MARK,
    amount_due: AMOUNT_MINOR,
    amount_paid: isPaid ? AMOUNT_MINOR : 0,
    amount_remaining: isPaid ? 0 : AMOUNT_MINOR,
    attempt_count: 1,
    total: AMOUNT_MINOR,
    paid: isPaid,
    status: isPaid ? "paid" : "open",
    ...(hasAddress && { customer_email: `${CUSTOMER_MARK}@example.com` }),
  })
  const text = JSON.stringify(event, null, 2)
    .replaceAll(/"((?:evt|in|il|ii|ch|pi)_)\w{6,}"/g, `"$1${MARK}"`)
    .replaceAll(/"((?:cus|sub|si)_)\w{6,}"/g, `"$1${CUSTOMER_MARK}"`)
  return (tail, customerTail, seconds) =>
    text.replaceAll(MARK, tail).replaceAll(CUSTOMER_MARK, customerTail).replaceAll(String(TIME_MARK), String(seconds))
}

/** `Stripe-Signature` of a body, made at this moment. */
function signatureOf(body: string, secret: string): string {
  const timestamp = nowSeconds()
  const mac = createHmac("sha256", secret).update(`${timestamp}.${body}`).digest("hex")
  return `t=${timestamp},v1=${mac}`
}

const nowSeconds = (): number => Math.floor(Date.now() / 1000)
