/**
 * A customer's past at Stripe in two tellings: the webhooks as they came, and the objects as the lists show them today. Made
 * from a seed; all of it lies between `start` and `end`.
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

/** Numbers that repeat for a seed (Park and Miller). */
function randomOf(seed: number): (below: number) => number {
  let state = (seed % 2_147_483_646) + 1
  return (below) => {
    state = (state * 48_271) % 2_147_483_647
    return state % below
  }
}

type End = "paid" | "paid elsewhere" | "uncollectible" | "voided" | "open" | "given up"

/** The past of one customer, in seconds since 1970. `tag` makes its ids unique. */
export function stripeHistory(
  tag: string,
  seed: number,
  { start, end }: { readonly start: number; readonly end: number },
): StripeHistory {
  const random = randomOf(seed)
  for (let turn = 0; turn < 5; turn++) random(7)
  const webhooks: HistoricalWebhook[] = []
  const objects = new Map<string, StripeObject[]>()
  const keep = (collection: string, object: StripeObject): void => {
    objects.set(collection, [...(objects.get(collection) ?? []), object])
  }
  const tell = (type: string, at: number, object: StripeObject, previous?: HistoricalWebhook["previous"]): void => {
    webhooks.push({ type, at, object, ...(previous && { previous }) })
  }

  const customer = `cus_${tag}`
  const subscriptionId = `sub_${tag}`
  const began = start + random(120) * DAY + random(DAY)
  const person = {
    id: customer,
    object: "customer",
    created: began,
    email: `${tag}@example.com`,
    name: `Person ${tag}`,
  }
  keep("customers", person)
  tell("customer.created", began, person)

  const amount = 1_000 + random(40) * 100
  const trialEnd = random(4) === 0 ? began + 7 * DAY : null
  const firstBill = trialEnd ?? began
  const bills = Math.min(12, Math.floor((end - firstBill - 20 * DAY) / MONTH))
  const leaving = (["none", "none", "announced", "announced and ended", "ended at once"] as const)[random(5)] ?? "none"
  const lastBill = firstBill + (bills - 1) * MONTH

  let isOwing = false
  for (let index = 0; index < bills; index++) {
    const isLast = index === bills - 1
    const outcome = index === 0 ? "paid" : isLast && leaving === "none" ? random(8) : random(6)
    const how: End =
      (["paid", "paid", "paid", "paid elsewhere", "uncollectible", "voided", "open", "given up"] as const)[
        typeof outcome === "number" ? outcome : 0
      ] ?? "paid"
    const isOwed = how === "open" || how === "given up"
    isOwing ||= isOwed
    const isTroubled = index > 0 && (how !== "paid" || random(3) === 0)
    const failures = isTroubled ? (how === "given up" ? 2 + random(2) : 1 + random(3)) : 0
    bill({ index, at: firstBill + index * MONTH, how, failures, isFirst: index === 0 })
  }

  function bill(paper: {
    readonly index: number
    readonly at: number
    readonly how: End
    readonly failures: number
    readonly isFirst: boolean
  }) {
    const { index, at, how, failures, isFirst } = paper
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
      keep("charges", charge)
      tell("charge.failed", moment, charge)
      tell("invoice.payment_failed", moment, {
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
    const whole = {
      ...common,
      status: isPaid ? "paid" : how === "uncollectible" ? "uncollectible" : how === "voided" ? "void" : "open",
      amount_paid: isPaid ? amount : 0,
      amount_remaining: isPaid ? 0 : amount,
      amount_paid_off_stripe: how === "paid elsewhere" ? amount : 0,
      // A payment elsewhere is no attempt of Stripe's.
      attempt_count: failures + (isCharged ? 1 : 0) + (how === "paid elsewhere" && failures === 1 ? 1 : 0),
      next_payment_attempt: how === "open" ? attemptAt(failures) + 3 * DAY : null,
      status_transitions: transitions,
    }
    keep("invoices", {
      ...whole,
      payments: {
        data: [{ payment: { type: "payment_intent", payment_intent: intent }, status: isCharged ? "paid" : "open" }],
      },
    })
    if (how === "uncollectible") tell("invoice.marked_uncollectible", endAt, whole)
    if (how === "voided") tell("invoice.voided", endAt, whole)
    if (isPaid) tell("invoice.paid", endAt, whole)
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
    tell("charge.succeeded", at, { ...charge, amount_refunded: 0 })
    const about = { charge: base.id, payment_intent: base.payment_intent, currency: "usd" }
    const fate = random(12)
    if (fate === 0) {
      const refund = {
        id: `re_${base.id}`,
        object: "refund",
        created: at + DAY,
        amount: 500,
        status: "succeeded",
        ...about,
      }
      keep("refunds", refund)
      tell("refund.created", at + DAY, refund)
    }
    keep("charges", { ...charge, amount_refunded: fate === 0 ? 500 : 0 })
    if (fate > 3 || fate === 0) return
    const status = ["", "won", "lost", "needs_response"][fate]
    const dispute = {
      id: `du_${base.id}`,
      object: "dispute",
      created: at + 2 * DAY,
      amount,
      reason: "general",
      ...about,
    }
    const moved = [{ created: at + 2 * DAY }, ...(status === "won" ? [{ created: at + 9 * DAY }] : [])]
    keep("disputes", { ...dispute, status, balance_transactions: moved })
    tell("charge.dispute.created", at + 2 * DAY, { ...dispute, status: "needs_response" })
    if (status !== "needs_response") tell("charge.dispute.closed", at + 9 * DAY, { ...dispute, status })
  }

  const calm = {
    id: subscriptionId,
    object: "subscription",
    created: began,
    start_date: began,
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
          current_period_end: lastBill + MONTH,
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
  tell("customer.subscription.created", began, { ...calm, status: trialEnd === null ? "active" : "trialing" })
  if (trialEnd !== null) {
    tell("customer.subscription.updated", trialEnd, { ...calm, status: "active" }, { status: "trialing" })
  }
  const asked = lastBill + 10 * DAY
  const endsAt = leaving === "announced" ? lastBill + MONTH : asked + 5 * DAY
  const isAnnounced = leaving === "announced" || leaving === "announced and ended"
  const isEnded = leaving === "announced and ended" || leaving === "ended at once"
  const status = isEnded ? "canceled" : isOwing ? "past_due" : "active"
  const announced = isAnnounced
    ? {
        cancel_at_period_end: true,
        cancel_at: endsAt,
        canceled_at: asked,
        cancellation_details: { reason: "cancellation_requested" },
      }
    : {}
  if (isAnnounced) {
    const before = { cancel_at_period_end: false, cancel_at: null, canceled_at: null }
    tell("customer.subscription.updated", asked, { ...calm, ...announced, status: "active" }, before)
  }
  const over = isEnded ? { ended_at: endsAt, canceled_at: isAnnounced ? asked : endsAt } : {}
  const last = { ...calm, ...announced, ...over, status }
  if (isEnded) tell("customer.subscription.deleted", endsAt, last)
  if (isOwing && !isEnded) tell("customer.subscription.updated", end - DAY, last, { status: "active" })
  keep("subscriptions", last)
  return { customer, webhooks, objects }
}
