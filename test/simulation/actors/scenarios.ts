/**
 * What happens to one customer, as a list of provider events in order. The times are given separately: the same scenario can
 * take a week or one second. Over 300 lines because it is one list.
 */
import {
  amountReduced,
  announced,
  card,
  charge,
  credited,
  customer,
  dispute,
  type EventWriter,
  failed,
  failedAgain,
  gaveUp,
  inOneSecond,
  intent,
  invoice,
  paid,
  paidByCharge,
  partPaid,
  reason,
  type ScenarioCustomer,
  type ScheduledEvent,
  subscription,
  withdrawn,
} from "./event-writers.ts"
import { whopEvent } from "./whop-events.ts"

export interface Scenario {
  readonly name: string
  readonly provider: "stripe" | "whop"
  readonly writers: readonly EventWriter[]
}

/** The events of a scenario at these times, one time for each. */
export const writeEvents = ({ writers }: Scenario, who: ScenarioCustomer, times: readonly Date[]): ScheduledEvent[] =>
  writers.map((writer, n) => {
    const event = writer(times[n] ?? times.at(-1) ?? new Date(0), `evt_${who.tag}_${n}`, who)
    return { id: event.id, type: event.type, body: JSON.stringify(event) }
  })

/** The customer of a scenario, by the provider's id. */
export const customerOf = ({ provider }: Pick<Scenario, "provider">, { tag }: ScenarioCustomer): string =>
  provider === "stripe" ? `cus_${tag}` : `user_${tag}`

const stripe = (name: string, ...writers: EventWriter[]): Scenario => ({ name, provider: "stripe", writers })
const whop = (name: string, ...writers: EventWriter[]): Scenario => ({ name, provider: "whop", writers })

/** Scenarios of at most six events each. */
export const SCENARIOS: readonly [Scenario, ...Scenario[]] = [
  stripe("a renewal fails and is paid", failed, paid),
  stripe("a renewal fails twice and is paid late", failed, failedAgain, paid),
  stripe("the charge has the decline reason", failed, reason, failedAgain, paidByCharge),
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
    "a chargeback on a charge that is not linked to its invoice",
    ...[failed, paid, dispute("created", "needs_response"), charge("updated", null, { names: "customer" })],
  ),
  stripe("refunded after it was recovered", failed, paidByCharge, charge("refunded", null, { outcome: "succeeded" })),
  stripe("voided", failed, invoice("voided", { more: { status: "void" } })),
  stripe("written off", failed, failedAgain, invoice("marked_uncollectible", { more: { status: "uncollectible" } })),
  stripe("the provider gives up and the invoice is paid", failed, failedAgain, gaveUp, paid),
  stripe("schedules a cancellation and withdraws it", announced, withdrawn),
  stripe("schedules a cancellation and ends", announced, subscription("deleted", { status: "canceled" })),
  stripe(
    "cancels, withdraws, cancels",
    announced,
    withdrawn,
    announced,
    subscription("deleted", { status: "canceled" }),
  ),
  stripe("ends while an invoice is open", failed, failedAgain, subscription("deleted", { status: "canceled" })),
  stripe("asked to authenticate", invoice("payment_action_required"), failed, paid),
  stripe("two invoices at once", failed, invoice("payment_failed", { n: 2 }), paid, invoice("paid", { n: 2 })),
  stripe(
    "known before, and without an address at first",
    ...[customer("created", { email: null }), failed, customer("updated"), paid],
  ),
  stripe("deleted at the provider", customer("created"), failed, customer("deleted", { deleted: true })),
  stripe("a new card in between", failed, card("attached"), paidByCharge),
  stripe("the card is updated by the network", failed, card("automatically_updated"), paid),
  stripe(
    "intents and charges without an invoice",
    ...[failed, intent("payment_failed"), charge("failed", "do_not_honor", { names: "customer" }), invoice("paid")],
  ),
  stripe(
    "a trial with a first invoice",
    subscription("created", { status: "trialing", more: () => ({ trial_end: Date.UTC(2026, 9, 30) / 1_000 }) }),
    ...[subscription("trial_will_end", { status: "trialing" }), failed, paid],
  ),
  stripe(
    "a bank debit is pending and fails",
    failed,
    intent("processing"),
    invoice("payment_failed", { attempt: 2, intent: true }),
  ),
  stripe(
    "a bank debit is pending and succeeds",
    failed,
    intent("processing"),
    intent("succeeded"),
    invoice("paid", { intent: true }),
  ),
  stripe("a bank debit is canceled", failed, intent("processing"), intent("canceled")),
  stripe("the amount of an invoice changes", failed, credited, partPaid, amountReduced, paid),
  // Six events each.
  stripe(
    "six: reported by charge and invoice, paid, disputed, cancellation scheduled",
    ...[failed, reason, failedAgain, announced, paidByCharge, dispute("created", "needs_response")],
  ),
  stripe(
    "six: two invoices and a cancellation",
    ...[failed, invoice("payment_failed", { n: 2 }), announced, paid, withdrawn, invoice("voided", { n: 2 })],
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
    "six: cancels twice while an invoice is open",
    ...[failed, announced, withdrawn, announced, gaveUp, subscription("deleted", { status: "canceled" })],
  ),
  stripe(
    "six: the customer of a charge is known late",
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
    "six: events of all kinds from Whop",
    whopEvent("membership.activated"),
    whopEvent("payment.failed"),
    whopEvent("payment.failed", { payments_failed: 2 }),
    whopEvent("membership.deactivated", { status: "past_due" }),
    whopEvent("payment.succeeded"),
    whopEvent("membership.cancel_at_period_end_changed", { cancel_at_period_end: true, status: "canceling" }),
  ),
]

/**
 * Scenarios that need a call of the provider's API. A run without faults has a stopped clock and makes no such call, so
 * schedules do not include them.
 */
export const LOOKUP_SCENARIOS: readonly Scenario[] = [
  stripe(
    "two snapshots of a subscription in one second",
    ...["past_due", "unpaid"].map((status) =>
      inOneSecond(subscription("updated", { status, previous: { status: "active" } })),
    ),
  ),
]
