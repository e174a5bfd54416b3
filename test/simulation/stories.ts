/**
 * What happens to one customer, as their provider tells it. A story says what is told and in which order; when, is given:
 * the same story can be told over a week or within one second.
 */
import { envelope, invoiceEvent } from "../support/events.ts"
import { whopEvent } from "./whop-events.ts"

/** Whose story it is. The tag makes all ids their own. */
export interface Who {
  readonly tag: string
  readonly company: string
}

/** One thing that a provider tells, as it is sent. */
export interface Told {
  readonly id: string
  readonly type: string
  readonly body: string
}

/** An event that is no event yet: `n` is its place in the story and makes its id. */
type Teller = (at: Date, id: string, who: Who) => { readonly id: string; readonly type: string }

export interface Story {
  readonly name: string
  readonly provider: "stripe" | "whop"
  readonly tellers: readonly Teller[]
}

/** The events of a story, told at these times; there is one for each. */
export const tell = ({ tellers }: Story, who: Who, times: readonly Date[]): Told[] =>
  tellers.map((teller, n) => {
    const event = teller(times[n] ?? times.at(-1) ?? new Date(0), `evt_${who.tag}_${n}`, who)
    return { id: event.id, type: event.type, body: JSON.stringify(event) }
  })

/** The customer of a story, by the provider's id. */
export const customerOf = ({ provider }: Pick<Story, "provider">, { tag }: Who): string =>
  provider === "stripe" ? `cus_${tag}` : `user_${tag}`

const seconds = (at: Date): number => Math.floor(at.getTime() / 1_000)
const AMOUNT = { amount: 1_999, currency: "usd" }

interface Bill {
  readonly n?: number
  readonly attempt?: number
  readonly charge?: boolean
  readonly intent?: boolean
  readonly next?: Date | null
  readonly more?: Readonly<Record<string, unknown>>
}

const bill =
  (type: string, { n = 1, attempt = 1, charge, intent, next, more }: Bill = {}): Teller =>
  (at, id, { tag }) =>
    invoiceEvent({
      type: `invoice.${type}`,
      ...{ at, id, attempt },
      customer: `cus_${tag}`,
      invoice: `in_${tag}_${n}`,
      subscription: `sub_${tag}`,
      ...(next !== undefined && { nextAttempt: next }),
      more: {
        ...(charge && { charge: `ch_${tag}_${n}` }),
        ...(intent && { payment_intent: `pi_${tag}_${n}` }),
        ...more,
      },
    }) as unknown as { id: string; type: string } // the builder's own type says nothing of its fields

const charge =
  (type: string, code: string | null, { names = "invoice", n = 1, outcome = "failed" }: ChargeOptions = {}): Teller =>
  (at, id, { tag }) =>
    envelope(`charge.${type}`, at, id, {
      id: `ch_${tag}_${n}`,
      object: "charge",
      ...(names !== "nothing" && { customer: `cus_${tag}` }),
      ...(names === "invoice" && { invoice: `in_${tag}_${n}` }),
      ...AMOUNT,
      amount_refunded: type === "refunded" ? AMOUNT.amount : 0,
      refunded: type === "refunded",
      status: outcome,
      paid: outcome === "succeeded",
      failure_code: code === null ? null : "card_declined",
      outcome: code === null ? null : { reason: code, type: "issuer_declined" },
    })

interface ChargeOptions {
  readonly names?: "invoice" | "customer" | "nothing"
  readonly n?: number
  readonly outcome?: "failed" | "succeeded"
}

const dispute =
  (type: string, status: string): Teller =>
  (at, id, { tag }) =>
    envelope(`charge.dispute.${type}`, at, id, {
      ...{ id: `dp_${tag}`, object: "dispute", charge: `ch_${tag}_1`, status, reason: "general", ...AMOUNT },
    })

interface SubscriptionOptions {
  readonly status?: string
  readonly cancels?: boolean
  readonly previous?: Readonly<Record<string, unknown>>
  readonly more?: (at: Date) => Readonly<Record<string, unknown>>
}

const subscription =
  (type: string, { status = "active", cancels = false, previous, more }: SubscriptionOptions = {}): Teller =>
  (at, id, { tag }) =>
    envelope(
      `customer.subscription.${type}`,
      at,
      id,
      {
        id: `sub_${tag}`,
        object: "subscription",
        customer: `cus_${tag}`,
        status,
        currency: "usd",
        cancel_at_period_end: cancels,
        cancel_at: null,
        // Fixed, so that every telling of the story says the same of it.
        start_date: Date.UTC(2026, 7, 1) / 1_000,
        ended_at: type === "deleted" ? seconds(at) : null,
        items: {
          object: "list",
          data: [
            {
              id: `si_${tag}`,
              quantity: 1,
              current_period_end: Date.UTC(2027, 0, 1) / 1_000,
              price: {
                ...{ id: `price_${tag}`, product: `prod_${tag}`, unit_amount: 1999, currency: "usd" },
                recurring: { interval: "month", interval_count: 1, usage_type: "licensed" },
              },
            },
          ],
        },
        ...more?.(at),
      },
      previous,
    )

const customer =
  (type: string, details: Readonly<Record<string, unknown>> = {}): Teller =>
  (at, id, { tag }) =>
    envelope(`customer.${type}`, at, id, {
      id: `cus_${tag}`,
      object: "customer",
      ...{ name: "Ann Example", email: `cus_${tag}@example.com`, phone: null, preferred_locales: [], metadata: {} },
      ...details,
    })

const intent =
  (type: string): Teller =>
  (at, id, { tag }) =>
    envelope(`payment_intent.${type}`, at, id, {
      ...{ id: `pi_${tag}_1`, object: "payment_intent", customer: `cus_${tag}`, status: type, ...AMOUNT },
      last_payment_error: type === "payment_failed" ? { code: "card_declined", decline_code: "do_not_honor" } : null,
    })

const card =
  (type: string): Teller =>
  (at, id, { tag }) =>
    envelope(`payment_method.${type}`, at, id, {
      ...{ id: `pm_${tag}`, object: "payment_method", customer: `cus_${tag}`, type: "card" },
    })

const announced = subscription("updated", { cancels: true, previous: { cancel_at_period_end: false } })
const withdrawn = subscription("updated", { previous: { cancel_at_period_end: true } })
const failed = bill("payment_failed")
const failedAgain = bill("payment_failed", { attempt: 2 })
const gaveUp = bill("payment_failed", { attempt: 4, next: null })
const paid = bill("paid")
const paidByCharge = bill("paid", { charge: true })
const reason = charge("failed", "insufficient_funds")

const stripe = (name: string, ...tellers: Teller[]): Story => ({ name, provider: "stripe", tellers })
const whop = (name: string, ...tellers: Teller[]): Story => ({ name, provider: "whop", tellers })

/** Stories of at most six events each. */
export const STORIES: readonly [Story, ...Story[]] = [
  stripe("a renewal fails and is paid", failed, paid),
  stripe("a renewal fails twice and is paid late", failed, failedAgain, paid),
  stripe("the charge says why", failed, reason, failedAgain, paidByCharge),
  stripe("the card was stolen", failed, charge("failed", "stolen_card"), failedAgain),
  stripe(
    "paid, disputed and won",
    failed,
    paidByCharge,
    dispute("created", "needs_response"),
    dispute("closed", "won"),
  ),
  stripe(
    "paid, disputed and lost",
    ...[failed, reason, paidByCharge, dispute("created", "needs_response"), dispute("closed", "lost")],
  ),
  stripe("an inquiry only", failed, paidByCharge, dispute("created", "warning_needs_response")),
  stripe(
    "a chargeback on a charge that nobody ties to its invoice",
    ...[failed, paid, dispute("created", "needs_response"), charge("updated", null, { names: "customer" })],
  ),
  stripe("refunded after it was recovered", failed, paidByCharge, charge("refunded", null, { outcome: "succeeded" })),
  stripe("voided", failed, bill("voided", { more: { status: "void" } })),
  stripe("written off", failed, failedAgain, bill("marked_uncollectible", { more: { status: "uncollectible" } })),
  stripe("the provider gives up and is paid all the same", failed, failedAgain, gaveUp, paid),
  stripe("announces to leave and thinks again", announced, withdrawn),
  stripe("announces to leave and leaves", announced, subscription("deleted", { status: "canceled" })),
  stripe(
    "leaves, comes back, leaves",
    announced,
    withdrawn,
    announced,
    subscription("deleted", { status: "canceled" }),
  ),
  stripe("ends while a bill is open", failed, failedAgain, subscription("deleted", { status: "canceled" })),
  stripe("asked to authenticate", bill("payment_action_required"), failed, paid),
  stripe("two bills at once", failed, bill("payment_failed", { n: 2 }), paid, bill("paid", { n: 2 })),
  stripe(
    "known before, and without an address at first",
    ...[customer("created", { email: null }), failed, customer("updated"), paid],
  ),
  stripe("deleted at the provider", customer("created"), failed, customer("deleted", { deleted: true })),
  stripe("a new card in between", failed, card("attached"), paidByCharge),
  stripe("the card is updated by the network", failed, card("automatically_updated"), paid),
  stripe(
    "intents and charges without an invoice",
    ...[failed, intent("payment_failed"), charge("failed", "do_not_honor", { names: "customer" }), bill("paid")],
  ),
  stripe(
    "a trial that becomes a bill",
    subscription("created", { status: "trialing", more: () => ({ trial_end: Date.UTC(2026, 9, 30) / 1_000 }) }),
    ...[subscription("trial_will_end", { status: "trialing" }), failed, paid],
  ),
  // Six events each.
  stripe(
    "six: told by charge and invoice, paid, disputed, announced",
    ...[failed, reason, failedAgain, announced, paidByCharge, dispute("created", "needs_response")],
  ),
  stripe(
    "six: two bills and a leaving",
    ...[failed, bill("payment_failed", { n: 2 }), announced, paid, withdrawn, bill("voided", { n: 2 })],
  ),
  stripe(
    "six: a customer from beginning to end",
    ...[customer("created"), subscription("created"), failed, failedAgain, paid],
    subscription("deleted", { status: "canceled" }),
  ),
  stripe(
    "six: dispute won and then refunded",
    ...[failed, paidByCharge, dispute("created", "needs_response"), dispute("closed", "won")],
    ...[charge("refunded", null, { outcome: "succeeded" }), card("attached")],
  ),
  stripe(
    "six: leaves twice while a bill is open",
    ...[failed, announced, withdrawn, announced, gaveUp, subscription("deleted", { status: "canceled" })],
  ),
  stripe(
    "six: nobody says whose charge it is until late",
    ...[failed, paid, dispute("created", "needs_response"), dispute("closed", "lost"), card("attached")],
    charge("updated", null, { names: "customer" }),
  ),
  whop("a payment fails and is made", whopEvent("payment.failed"), whopEvent("payment.succeeded")),
  whop(
    "a payment fails twice",
    whopEvent("payment.failed"),
    whopEvent("payment.failed", { payments_failed: 2 }),
    whopEvent("payment.succeeded"),
  ),
  whop(
    "a membership is canceled and taken back",
    whopEvent("membership.cancel_at_period_end_changed", { cancel_at_period_end: true, status: "canceling" }),
    whopEvent("membership.cancel_at_period_end_changed", { cancel_at_period_end: false, status: "active" }),
  ),
  whop(
    "a membership ends while a payment is open",
    whopEvent("payment.failed"),
    whopEvent("membership.deactivated", { status: "past_due" }),
    whopEvent("membership.deactivated", { status: "canceled" }),
  ),
  whop(
    "a dispute at Whop",
    whopEvent("payment.failed"),
    whopEvent("payment.succeeded"),
    whopEvent("dispute.created"),
    whopEvent("dispute.updated", { status: "won" }),
  ),
  whop(
    "six: all that Whop tells",
    whopEvent("membership.activated"),
    whopEvent("payment.failed"),
    whopEvent("payment.failed", { payments_failed: 2 }),
    whopEvent("membership.deactivated", { status: "past_due" }),
    whopEvent("payment.succeeded"),
    whopEvent("membership.cancel_at_period_end_changed", { cancel_at_period_end: true, status: "canceling" }),
  ),
]
