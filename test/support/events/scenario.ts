/** Scenarios of one customer as lists of events at fixed times, and the resulting state without the customer's ids. */

import { sql } from "../world/world.ts"
import { envelope, invoiceEvent } from "./providers.ts"

export interface Scenario {
  readonly customer: string
  readonly events: readonly ({ readonly id: string } & Record<string, unknown>)[]
}

const MINUTE_MS = 60_000

/**
 * A renewal that fails twice, reported by charge and invoice, is paid and then disputed, while the member schedules a
 * cancellation and withdraws it. `tag` makes its ids unique; `end` is the time of the last event.
 */
export function failedRenewalScenario(tag: string, end: Date): Scenario {
  const [customer, invoice, charge, subscription] = [`cus_${tag}`, `in_${tag}`, `ch_${tag}`, `sub_${tag}`]
  const at = (minutesBeforeEnd: number) => new Date(end.getTime() - minutesBeforeEnd * MINUTE_MS)
  const bill = (type: string, minutes: number, n: number, more: Record<string, unknown> = {}, attempt = 1) =>
    invoiceEvent({ type, at: at(minutes), customer, invoice, subscription, id: `evt_${tag}_${n}`, attempt, more })
  const subscriptionObject = (cancels: boolean) => ({
    id: subscription,
    object: "subscription",
    customer,
    status: "active",
    currency: "usd",
    cancel_at_period_end: cancels,
    cancel_at: null,
    start_date: Math.floor(at(90_000).getTime() / 1000),
    items: {
      object: "list",
      data: [
        {
          id: `si_${tag}`,
          quantity: 1,
          current_period_end: Math.floor(at(-20_000).getTime() / 1000),
          price: {
            id: `price_${tag}`,
            product: `prod_${tag}`,
            unit_amount: 1999,
            currency: "usd",
            recurring: { interval: "month", interval_count: 1, usage_type: "licensed" },
          },
        },
      ],
    },
  })
  const events = [
    bill("invoice.payment_failed", 50, 1),
    envelope("charge.failed", at(50), `evt_${tag}_2`, {
      id: charge,
      object: "charge",
      customer,
      invoice,
      amount: 1999,
      currency: "usd",
      status: "failed",
      paid: false,
      failure_code: "card_declined",
      outcome: { reason: "insufficient_funds", type: "issuer_declined" },
    }),
    bill("invoice.payment_failed", 40, 3, {}, 2),
    envelope("customer.subscription.updated", at(35), `evt_${tag}_4`, subscriptionObject(true), {
      cancel_at_period_end: false,
    }),
    bill("invoice.paid", 30, 5, { charge }),
    envelope("customer.subscription.updated", at(20), `evt_${tag}_6`, subscriptionObject(false), {
      cancel_at_period_end: true,
    }),
    envelope("charge.dispute.created", at(10), `evt_${tag}_7`, {
      id: `dp_${tag}`,
      object: "dispute",
      charge,
      amount: 1999,
      currency: "usd",
      status: "needs_response",
      reason: "general",
    }),
  ]
  return { customer, events }
}

/**
 * A chargeback on a charge that no event names together with its invoice; only an event without facts (`charge.updated`)
 * contains its customer.
 */
export function unlinkedChargeScenario(tag: string, end: Date): Scenario {
  const [customer, invoice, charge] = [`cus_${tag}`, `in_${tag}`, `ch_${tag}`]
  const at = (minutesBeforeEnd: number) => new Date(end.getTime() - minutesBeforeEnd * MINUTE_MS)
  const bill = (type: string, minutes: number, n: number) =>
    invoiceEvent({ type, at: at(minutes), customer, invoice, id: `evt_${tag}_${n}` })
  const money = { amount: 1999, currency: "usd" }
  return {
    customer,
    events: [
      bill("invoice.payment_failed", 50, 1),
      bill("invoice.paid", 40, 2),
      envelope("charge.dispute.created", at(30), `evt_${tag}_3`, {
        ...{ id: `dp_${tag}`, object: "dispute", charge, status: "needs_response", reason: "general", ...money },
      }),
      envelope("charge.updated", at(20), `evt_${tag}_4`, { id: charge, object: "charge", customer, ...money }),
    ],
  }
}

/** Everything in the database that follows from a customer's events, as text, with the scenario's tag replaced. */
export async function describeState(tag: string): Promise<string> {
  const customer = `stripe_cus_${tag}`
  const [row] = await sql<{ text: string }>(
    `select jsonb_build_object(
      'state', (select state - 'outreach' - 'position' from customers where id = $1),
      'cases', (select jsonb_agg(to_jsonb(c) - 'cause' - 'arm' - 'holdout_percentage' order by c.id) from recovery_cases c where customer_id = $1),
      'payments', (select jsonb_agg(to_jsonb(p) order by p.invoice_id) from payments p where customer_id = $1),
      'subscriptions', (select jsonb_agg(to_jsonb(s) order by s.id) from subscriptions s where customer_id = $1),
      'facts', (select jsonb_agg(f.body || jsonb_build_object('at', f.occurred_at) order by f.occurred_at, f.rank, f.body::text)
        from facts f where f.event_id is not null and (f.subject = $2 or f.subject in (
          select object_id from object_links where root_id = $2)))
    )::text as text`,
    [customer, `cus_${tag}`],
  )
  return (row?.text ?? "").replaceAll(tag, "TAG")
}
