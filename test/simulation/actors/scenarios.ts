/**
 * What happens to one customer, as their provider tells it. A story says what is told and in which order; when, is given:
 * the same story can be told over a week or within one second.
 */
import {
  announced,
  asksForLess,
  bill,
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
  readonly tellers: readonly EventWriter[]
}

/** The events of a story, told at these times; there is one for each. */
export const tell = ({ tellers }: Scenario, who: ScenarioCustomer, times: readonly Date[]): ScheduledEvent[] =>
  tellers.map((teller, n) => {
    const event = teller(times[n] ?? times.at(-1) ?? new Date(0), `evt_${who.tag}_${n}`, who)
    return { id: event.id, type: event.type, body: JSON.stringify(event) }
  })

/** The customer of a story, by the provider's id. */
export const customerOf = ({ provider }: Pick<Scenario, "provider">, { tag }: ScenarioCustomer): string =>
  provider === "stripe" ? `cus_${tag}` : `user_${tag}`

const stripe = (name: string, ...tellers: EventWriter[]): Scenario => ({ name, provider: "stripe", tellers })
const whop = (name: string, ...tellers: EventWriter[]): Scenario => ({ name, provider: "whop", tellers })

/** Stories of at most six events each. */
export const SCENARIOS: readonly [Scenario, ...Scenario[]] = [
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
  stripe(
    "a bank debit is under way and fails",
    failed,
    intent("processing"),
    bill("payment_failed", { attempt: 2, intent: true }),
  ),
  stripe(
    "a bank debit is under way and arrives",
    failed,
    intent("processing"),
    intent("succeeded"),
    bill("paid", { intent: true }),
  ),
  stripe("a bank debit is given up", failed, intent("processing"), intent("canceled")),
  stripe("what a bill asks for changes", failed, credited, partPaid, asksForLess, paid),
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

/**
 * Stories of which the provider has to be asked. A run without faults, whose clock stands still, asks nobody, so no schedule
 * is compared with it.
 */
export const ASKED_STORIES: readonly Scenario[] = [
  stripe(
    "two words on a subscription in one second",
    ...["past_due", "unpaid"].map((status) =>
      inOneSecond(subscription("updated", { status, previous: { status: "active" } })),
    ),
  ),
]
