/**
 * A customer's past at Stripe in two forms: the webhooks as they were sent, and the objects as the lists show them today.
 * Generated from a seed, between `start` and `end`.
 */
export type StripeObject = Readonly<Record<string, unknown>> & { readonly id: string }

export interface HistoricalWebhook {
  readonly type: string
  readonly at: number
  readonly object: StripeObject
  readonly previous?: Readonly<Record<string, unknown>>
}

export interface StripeHistory {
  readonly customer: string
  readonly webhooks: readonly HistoricalWebhook[]
  /** By collection, as it is named in Stripe's paths. */
  readonly objects: ReadonlyMap<string, readonly StripeObject[]>
}

const DAY = 86_400
const MONTH = 30 * DAY

/** Random numbers from a seed (Park and Miller). */
function randomOf(seed: number): (below: number) => number {
  let state = (seed % 2_147_483_646) + 1
  return (below) => {
    state = (state * 48_271) % 2_147_483_647
    return state % below
  }
}

type End = "paid" | "paid elsewhere" | "uncollectible" | "voided" | "open" | "given up"

/** The history of one customer, in seconds since 1970. `tag` makes its ids unique. */
export function stripeHistory(
  tag: string,
  seed: number,
  { start, end }: { readonly start: number; readonly end: number },
): StripeHistory {
  const random = randomOf(seed)
  for (let turn = 0; turn < 5; turn++) random(7)
  const webhooks: HistoricalWebhook[] = []
  const objects = new Map<string, StripeObject[]>()
  const addObject = (collection: string, object: StripeObject): void => {
    objects.set(collection, [...(objects.get(collection) ?? []), object])
  }
  const addWebhook = (
    type: string,
    at: number,
    object: StripeObject,
    previous?: HistoricalWebhook["previous"],
  ): void => {
    webhooks.push({ type, at, object, ...(previous && { previous }) })
  }

  const customer = `cus_${tag}`
  const subscriptionId = `sub_${tag}`
  const startedAt = start + random(120) * DAY + random(DAY)
  const person = {
    id: customer,
    object: "customer",
    created: startedAt,
    email: `${tag}@example.com`,
    name: `Person ${tag}`,
  }
  addObject("customers", person)
  addWebhook("customer.created", startedAt, person)

  const amount = 1_000 + random(40) * 100
  const trialEnd = random(4) === 0 ? startedAt + 7 * DAY : null
  const firstInvoiceAt = trialEnd ?? startedAt
  const invoices = Math.min(12, Math.floor((end - firstInvoiceAt - 20 * DAY) / MONTH))
  const cancellation =
    (["none", "none", "announced", "announced and ended", "ended at once"] as const)[random(5)] ?? "none"
  const lastInvoiceAt = firstInvoiceAt + (invoices - 1) * MONTH

  let isOwing = false
  for (let index = 0; index < invoices; index++) {
    const isLast = index === invoices - 1
    const outcome = index === 0 ? "paid" : isLast && cancellation === "none" ? random(8) : random(6)
    const how: End =
      (["paid", "paid", "paid", "paid elsewhere", "uncollectible", "voided", "open", "given up"] as const)[
        typeof outcome === "number" ? outcome : 0
      ] ?? "paid"
    const isOwed = how === "open" || how === "given up"
    isOwing ||= isOwed
    const hasFailures = index > 0 && (how !== "paid" || random(3) === 0)
    const failures = hasFailures ? (how === "given up" ? 2 + random(2) : 1 + random(3)) : 0
    addInvoice({ index, at: firstInvoiceAt + index * MONTH, how, failures, isFirst: index === 0 })
  }

  function addInvoice(invoice: {
    readonly index: number
    readonly at: number
    readonly how: End
    readonly failures: number
    readonly isFirst: boolean
  }) {
    const { index, at, how, failures, isFirst } = invoice
    const [id, intent] = [`in_${tag}_${index}`, `pi_${tag}_${index}`]
    const isPaid = how === "paid" || how === "paid elsewhere"
    const common = {
      id,
      object: "invoice",
      created: at - 3_600,
      customer,
      customer_email: `${tag}@example.com`,
      currency: "usd",
      amount_due: amount,
      collection_method: "charge_automatically",
      billing_reason: isFirst && trialEnd === null ? "subscription_create" : "subscription_cycle",
      parent: { type: "subscription_details", subscription_details: { subscription: subscriptionId } },
    }
    const attemptAt = (attempt: number) => at + (attempt - 1) * 3 * DAY
    for (let attempt = 1; attempt <= failures; attempt++) {
      const isFinal = attempt === failures && how !== "paid" && how !== "voided" && how !== "paid elsewhere"
      const hasNext = how === "open" || !isFinal
      const moment = attemptAt(attempt)
      const charge = {
        ...chargeOf(attempt, moment),
        status: "failed",
        paid: false,
        captured: false,
        failure_code: "card_declined",
        outcome: { reason: random(2) === 0 ? "insufficient_funds" : "expired_card" },
      }
      addObject("charges", charge)
      addWebhook("charge.failed", moment, charge)
      addWebhook("invoice.payment_failed", moment, {
        ...common,
        status: "open",
        amount_paid: 0,
        amount_remaining: amount,
        attempt_count: attempt,
        next_payment_attempt: hasNext ? moment + 3 * DAY : null,
      })
    }
    const endAt = failures === 0 ? at : attemptAt(how === "uncollectible" ? failures : failures + 1)
    const transitions = {
      finalized_at: at,
      paid_at: isPaid ? endAt : null,
      marked_uncollectible_at: how === "uncollectible" ? endAt : null,
      voided_at: how === "voided" ? endAt : null,
    }
    const isCharged = how === "paid"
    const invoiceObject = {
      ...common,
      status: isPaid ? "paid" : how === "uncollectible" ? "uncollectible" : how === "voided" ? "void" : "open",
      amount_paid: isPaid ? amount : 0,
      amount_remaining: isPaid ? 0 : amount,
      amount_paid_off_stripe: how === "paid elsewhere" ? amount : 0,
      // An out-of-band payment is not an attempt of Stripe.
      attempt_count: failures + (isCharged ? 1 : 0) + (how === "paid elsewhere" && failures === 1 ? 1 : 0),
      next_payment_attempt: how === "open" ? attemptAt(failures) + 3 * DAY : null,
      status_transitions: transitions,
    }
    addObject("invoices", {
      ...invoiceObject,
      payments: {
        data: [{ payment: { type: "payment_intent", payment_intent: intent }, status: isCharged ? "paid" : "open" }],
      },
    })
    if (how === "uncollectible") addWebhook("invoice.marked_uncollectible", endAt, invoiceObject)
    if (how === "voided") addWebhook("invoice.voided", endAt, invoiceObject)
    if (isPaid) addWebhook("invoice.paid", endAt, invoiceObject)
    if (isCharged) settle(chargeOf(failures + 1, endAt), endAt)

    function chargeOf(attempt: number, moment: number) {
      return {
        id: `ch_${tag}_${index}_${attempt}`,
        object: "charge",
        created: moment,
        customer,
        amount,
        currency: "usd",
        payment_intent: intent,
      }
    }
  }

  function settle(base: StripeObject, at: number): void {
    const charge = { ...base, status: "succeeded", paid: true, captured: true, amount_captured: amount }
    addWebhook("charge.succeeded", at, { ...charge, amount_refunded: 0 })
    const about = { charge: base.id, payment_intent: base.payment_intent, currency: "usd" }
    const followUp = random(12)
    if (followUp === 0) {
      const refund = {
        id: `re_${base.id}`,
        object: "refund",
        created: at + DAY,
        amount: 500,
        status: "succeeded",
        ...about,
      }
      addObject("refunds", refund)
      addWebhook("refund.created", at + DAY, refund)
    }
    addObject("charges", { ...charge, amount_refunded: followUp === 0 ? 500 : 0 })
    if (followUp > 3 || followUp === 0) return
    const status = ["", "won", "lost", "needs_response"][followUp]
    const dispute = {
      id: `du_${base.id}`,
      object: "dispute",
      created: at + 2 * DAY,
      amount,
      reason: "general",
      ...about,
    }
    const balanceTransactions = [{ created: at + 2 * DAY }, ...(status === "won" ? [{ created: at + 9 * DAY }] : [])]
    addObject("disputes", { ...dispute, status, balance_transactions: balanceTransactions })
    addWebhook("charge.dispute.created", at + 2 * DAY, { ...dispute, status: "needs_response" })
    if (status !== "needs_response") addWebhook("charge.dispute.closed", at + 9 * DAY, { ...dispute, status })
  }

  const uncanceled = {
    id: subscriptionId,
    object: "subscription",
    created: startedAt,
    start_date: startedAt,
    customer,
    currency: "usd",
    trial_end: trialEnd,
    cancel_at: null,
    cancel_at_period_end: false,
    canceled_at: null,
    ended_at: null,
    items: {
      data: [
        {
          quantity: 1,
          current_period_end: lastInvoiceAt + MONTH,
          price: {
            id: "price_1",
            product: "prod_1",
            unit_amount: amount,
            currency: "usd",
            recurring: { interval: "month", interval_count: 1, usage_type: "licensed" },
          },
        },
      ],
    },
  }
  addWebhook("customer.subscription.created", startedAt, {
    ...uncanceled,
    status: trialEnd === null ? "active" : "trialing",
  })
  if (trialEnd !== null) {
    addWebhook("customer.subscription.updated", trialEnd, { ...uncanceled, status: "active" }, { status: "trialing" })
  }
  const announcedAt = lastInvoiceAt + 10 * DAY
  const endsAt = cancellation === "announced" ? lastInvoiceAt + MONTH : announcedAt + 5 * DAY
  const isAnnounced = cancellation === "announced" || cancellation === "announced and ended"
  const isEnded = cancellation === "announced and ended" || cancellation === "ended at once"
  const status = isEnded ? "canceled" : isOwing ? "past_due" : "active"
  const announced = isAnnounced
    ? {
        cancel_at_period_end: true,
        cancel_at: endsAt,
        canceled_at: announcedAt,
        cancellation_details: { reason: "cancellation_requested" },
      }
    : {}
  if (isAnnounced) {
    const before = { cancel_at_period_end: false, cancel_at: null, canceled_at: null }
    addWebhook("customer.subscription.updated", announcedAt, { ...uncanceled, ...announced, status: "active" }, before)
  }
  const endFields = isEnded ? { ended_at: endsAt, canceled_at: isAnnounced ? announcedAt : endsAt } : {}
  const last = { ...uncanceled, ...announced, ...endFields, status }
  if (isEnded) addWebhook("customer.subscription.deleted", endsAt, last)
  if (isOwing && !isEnded) addWebhook("customer.subscription.updated", end - DAY, last, { status: "active" })
  addObject("subscriptions", last)
  return { customer, webhooks, objects }
}
