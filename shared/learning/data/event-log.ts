/**
 * Converts an event log of another system to ledgers of facts, so that features are computed as for our own. Made for logs
 * similar to Stripe's webhooks. What a log lacks (invoice ids, period ends) is derived from the order of occurrence, which
 * does not depend on late delivery.
 */
import type { FactBody, Instant, SubscriptionItem, SubscriptionSnapshot } from "../../domain/facts.ts"
import type { LedgerFact } from "../../domain/scoring/features.ts"

/** One row of a log. Absent and empty fields are equivalent. */
export interface LoggedEvent {
  readonly id: string
  readonly customer: string
  readonly type: string
  readonly occurredAtMs: number
  /** When the event was received; its facts count from then on. */
  readonly receivedAtMs: number
  readonly plan?: string
  readonly interval?: string
  /** In major units, as in logs. */
  readonly amount?: number
  readonly currency?: string
  readonly attempt?: number
  readonly count?: number
  readonly sentiment?: string
  readonly invoice?: string
  readonly subscription?: string
  readonly reason?: string
  readonly periodEndMs?: number
}

/** The calendar of the log. */
export interface LogTimeline {
  /** Days of a billing month; a year has twelve of them. */
  readonly monthDays: number
}

/** The ledgers of a log's customers, and the event types without facts, with their counts. */
export interface ParsedLog {
  readonly ledgers: ReadonlyMap<string, readonly LedgerFact[]>
  readonly unread: ReadonlyMap<string, number>
  readonly duplicates: number
}

const DAY_MS = 86_400_000

/** The ledgers of all customers. A repeated event counts once, from when it was first received. */
export function ledgersOf(events: Iterable<LoggedEvent>, clock: LogTimeline): ParsedLog {
  const byCustomer = new Map<string, Map<string, LoggedEvent>>()
  let duplicates = 0
  for (const event of events) {
    let own = byCustomer.get(event.customer)
    if (own === undefined) {
      own = new Map()
      byCustomer.set(event.customer, own)
    }
    const known = own.get(event.id)
    if (known) duplicates += 1
    if (!known || event.receivedAtMs < known.receivedAtMs) own.set(event.id, event)
  }
  const unread = new Map<string, number>()
  const ledgers = new Map<string, readonly LedgerFact[]>()
  for (const [customer, own] of byCustomer) ledgers.set(customer, ledgerOf([...own.values()], clock, unread))
  return { ledgers, unread, duplicates }
}

function ledgerOf(events: LoggedEvent[], clock: LogTimeline, unread: Map<string, number>): LedgerFact[] {
  const inOrder = events.sort((a, b) => a.occurredAtMs - b.occurredAtMs || (a.id < b.id ? -1 : 1))
  const reader = new LogReader(clock)
  return inOrder.flatMap((event) => {
    const bodies = reader.read(event)
    if (bodies === null) unread.set(event.type, (unread.get(event.type) ?? 0) + 1)
    return (bodies ?? []).map((body, index) => ({
      ...body,
      id: `${event.id}.${index}`,
      occurredAt: instantOf(event.occurredAtMs),
      knownAt: instantOf(Math.max(event.receivedAtMs, event.occurredAtMs)),
    }))
  })
}

const instantOf = (ms: number): Instant => new Date(ms).toISOString()

/** Converts the events of one customer, in order of occurrence. */
class LogReader {
  readonly #clock: LogTimeline
  #subscription: SubscriptionSnapshot | null = null
  #invoices = 0
  #currency = "usd"

  constructor(clock: LogTimeline) {
    this.#clock = clock
  }

  /** The facts of an event; null for an unknown type. */
  read(event: LoggedEvent): FactBody[] | null {
    this.#currency = event.currency ?? this.#currency
    switch (event.type) {
      case "customer.subscription.created":
        return [{ kind: "subscription_started", subscription: this.#start(event) }]
      case "customer.subscription.updated":
        return [{ kind: "subscription_changed", subscription: this.#change(event, {}) }]
      case "customer.subscription.paused":
        return [{ kind: "subscription_paused", subscription: this.#change(event, { paused: "requested" }) }]
      case "customer.subscription.resumed":
        return [{ kind: "subscription_resumed", subscription: this.#change(event, { paused: null }) }]
      case "customer.subscription.deleted":
        return [this.#end(event)]
      case "invoice.paid":
      case "invoice.payment_succeeded":
        return [
          { kind: "payment_succeeded", how: "collected", ...this.#invoice(event), ...this.#money(event) },
          ...this.#renewal(event),
        ]
      case "invoice.payment_failed":
        return [
          {
            kind: "payment_failed",
            attempt: event.attempt ?? 1,
            declineCode: event.reason ?? null,
            isFirstInvoice: false,
            ...this.#invoice(event),
            ...this.#money(event),
          },
          ...this.#renewal(event),
        ]
      case "invoice.voided":
        return [{ kind: "invoice_voided", ...this.#invoice(event) }]
      case "charge.refunded":
        return [{ kind: "payment_refunded", ...this.#invoice(event), ...this.#money(event) }]
      case "charge.dispute.created":
        return [
          {
            kind: "dispute_opened",
            disputeId: event.id,
            reason: event.reason ?? null,
            isInquiry: false,
            ...this.#invoice(event),
            ...this.#money(event),
          },
        ]
      case "ticket.opened":
        return [{ kind: "ticket_opened", ticketId: event.id, isNegative: event.sentiment === "negative" }]
      case "nudge.sent":
        return [
          {
            kind: "nudge_sent",
            nudgeId: event.id,
            caseId: "log",
            step: null,
            channel: "email",
            providerMessageId: null,
          },
        ]
      default:
        return this.#usage(event)
    }
  }

  #usage(event: LoggedEvent): FactBody[] | null {
    if (!event.type.startsWith("usage") || event.count === undefined) return null
    return [{ kind: "usage_recorded", meter: event.type, quantity: event.count, subscriptionId: this.#idOf(event) }]
  }

  #start(event: LoggedEvent): SubscriptionSnapshot {
    this.#subscription = {
      subscriptionId: event.subscription ?? event.id,
      status: "active",
      currency: this.#currency,
      items: this.#items(event) ?? [],
      startedAt: instantOf(event.occurredAtMs),
      currentPeriodEnd: this.#periodEnd(event, event.interval),
      trialEnd: null,
      cancelAt: null,
      endedAt: null,
      paused: null,
    }
    return this.#subscription
  }

  /** A change has the complete new terms; the period end stays the same unless the event has one. */
  #change(event: LoggedEvent, change: Partial<SubscriptionSnapshot>): SubscriptionSnapshot {
    const before = this.#subscription ?? this.#start(event)
    const periodEnd = event.periodEndMs === undefined ? before.currentPeriodEnd : instantOf(event.periodEndMs)
    this.#subscription = {
      ...before,
      ...change,
      items: this.#items(event) ?? before.items,
      currentPeriodEnd: periodEnd,
    }
    // Only the items of this event: those of earlier events are in the ledger from when they were received.
    return { ...this.#subscription, items: this.#items(event) ?? [] }
  }

  #end(event: LoggedEvent): FactBody {
    const endedAt = instantOf(event.occurredAtMs)
    const subscription = { ...this.#change(event, { status: "canceled", endedAt }), items: [] }
    const reason = event.reason === "payment_failed" || event.reason === "requested" ? event.reason : "unknown"
    return { kind: "subscription_ended", subscription, reason }
  }

  /** A first attempt is a new invoice, which starts a new period; a later attempt belongs to the previous invoice. */
  #invoice(event: LoggedEvent) {
    if (event.type.startsWith("invoice.") && (event.attempt ?? 1) <= 1) this.#invoices += 1
    return {
      invoiceId: event.invoice ?? `${event.customer}.${this.#invoices}`,
      subscriptionId: this.#idOf(event),
      chargeId: null,
      paymentIntentId: null,
    }
  }

  #renewal(event: LoggedEvent): FactBody[] {
    const known = this.#subscription
    if (known === null || known.endedAt !== null || (event.attempt ?? 1) > 1) return []
    const interval = known.items[0]?.interval ?? undefined
    this.#subscription = { ...known, currentPeriodEnd: this.#periodEnd(event, interval) }
    return [{ kind: "subscription_changed", subscription: { ...this.#subscription, items: [] } }]
  }

  #periodEnd(event: LoggedEvent, interval: string | undefined): Instant | null {
    if (event.periodEndMs !== undefined) return instantOf(event.periodEndMs)
    const days = { day: 1, week: 7, month: this.#clock.monthDays, year: 12 * this.#clock.monthDays }[
      intervalOf(interval)
    ]
    return instantOf(event.occurredAtMs + days * DAY_MS)
  }

  #items(event: LoggedEvent): readonly SubscriptionItem[] | null {
    if (event.plan === undefined && event.amount === undefined) return null
    return [
      {
        priceId: event.plan ?? null,
        productId: null,
        unitAmountMinor: event.amount === undefined ? null : Math.round(event.amount * 100),
        quantity: 1,
        interval: intervalOf(event.interval),
        intervalCount: 1,
        usageType: "licensed",
      },
    ]
  }

  #money({ amount }: LoggedEvent) {
    return { amountMinor: Math.round((amount ?? 0) * 100), currency: this.#currency }
  }

  #idOf(event: LoggedEvent): string | null {
    return event.subscription ?? this.#subscription?.subscriptionId ?? null
  }
}

function intervalOf(text: string | undefined): "day" | "week" | "month" | "year" {
  return text === "day" || text === "week" || text === "year" ? text : "month"
}
