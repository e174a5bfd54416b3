/**
 * A company's past from Stripe's lists, page by page: customers, subscriptions, then month by month what was billed, charged,
 * refunded and disputed. The lists reach as far back as the account; the list of events only thirty days.
 */
import type Stripe from "stripe"
import * as z from "zod"
import type { HistoricalEvent, HistoryPage, HistoryRequest } from "../../../../shared/provider.ts"
import { isObject, type JsonObject } from "../facts/fields.ts"
import { objectLinksOf } from "../facts/object-links.ts"
import { apiErrorOf, callStripe, isStripeError } from "./client.ts"
import {
  chargeEvents,
  customerEvents,
  disputeEvents,
  type HistoryRange,
  hasFailedAttempts,
  invoiceEvents,
  refundEvents,
  subscriptionEvents,
} from "./history-events.ts"

/** Most of Stripe's lists give a hundred objects at most. */
const LIST_MAX = 100

/** A page asks this many lists at most, so that months without anything cost no page each. */
const LISTS_MAX = 8

/** Invoices of a page whose charges are asked for; with the lists, a page stays far below 50 calls. */
const LOOKUPS_MAX = 20

/** Billing is walked in ascending spans of this length, so that what was reached is a date. */
const SPAN_SECONDS = 31 * 86_400

const STAGES = ["customers", "subscriptions", "invoices", "charges", "refunds", "disputes"] as const
type Stage = (typeof STAGES)[number]

/** Where a walk stands: in which list of which span, after which object. */
const position = z.object({ stage: z.enum(STAGES), from: z.int(), after: z.string().nullable() })
type Position = z.infer<typeof position>

/** See `ProviderApi.listHistory`. */
export async function listHistory(
  stripe: Stripe,
  request: HistoryRequest & { readonly account: string | null },
): Promise<HistoryPage> {
  const range: HistoryRange = {
    since: Math.floor(request.since.getTime() / 1000),
    until: Math.floor(request.until.getTime() / 1000),
    account: request.account,
  }
  let current: Position | null = readCursor(request.cursor, range)
  const events: HistoricalEvent[] = []
  for (let lists = 0; current !== null && lists < LISTS_MAX && events.length === 0; lists++) {
    const page = await readPage(stripe, current, range, request.limit)
    events.push(...page.events)
    current = page.next
  }
  return { events, cursor: current === null ? null : JSON.stringify(current) }
}

function readCursor(cursor: string | null, { since }: HistoryRange): Position {
  if (cursor === null) return { stage: "customers", from: since, after: null }
  try {
    return position.parse(JSON.parse(cursor))
  } catch {
    throw apiErrorOf("the cursor is none of this list")
  }
}

async function readPage(
  stripe: Stripe,
  { stage, from, after }: Position,
  range: HistoryRange,
  limit: number,
): Promise<{ readonly events: readonly HistoricalEvent[]; readonly next: Position | null }> {
  const to = Math.min(from + SPAN_SECONDS, range.until + 1)
  const page = { limit: Math.min(limit, LIST_MAX), ...(after !== null && { starting_after: after }) }
  const list = await callStripe(`listing ${stage}`, async () => {
    try {
      return await LISTS[stage]({ stripe, page, created: { gte: from, lt: to }, until: range.until })
    } catch (error) {
      if (after !== null && isStripeError(error, "resource_missing")) return null
      throw error
    }
  })
  // What the list stood at was deleted (a draft, a customer): the list is told again, and is known already.
  if (list === null) return { events: [], next: { stage, from, after: null } }
  const objects = list.data.filter(isObject)
  const told =
    stage === "invoices"
      ? await invoicesOf(stripe, objects, range)
      : objects.map((one) => WRITE_EVENTS[stage](one, range))

  const events: HistoricalEvent[] = []
  let taken = 0
  for (const ofObject of told) {
    if (taken > 0 && events.length + ofObject.length > limit) break
    events.push(...ofObject)
    taken += 1
  }
  const last = objects[taken - 1]
  const hasMore = list.has_more || taken < objects.length
  if (hasMore && typeof last?.id === "string") return { events, next: { stage, from, after: last.id } }
  return { events, next: nextStage(stage, from, to, range) }
}

function nextStage(stage: Stage, from: number, to: number, { until }: HistoryRange): Position | null {
  const next = STAGES[STAGES.indexOf(stage) + 1]
  if (next !== undefined) return { stage: next, from, after: null }
  return to > until ? null : { stage: "invoices", from: to, after: null }
}

interface Listing {
  readonly stripe: Stripe
  readonly page: { readonly limit: number; readonly starting_after?: string }
  readonly created: { readonly gte: number; readonly lt: number }
  readonly until: number
}

type List = Promise<{ readonly data: readonly unknown[]; readonly has_more: boolean }>

/** Customers and subscriptions are asked for whenever they began: their bills fall into the range. */
const LISTS: Readonly<Record<Stage, (listing: Listing) => List>> = {
  customers: ({ stripe, page, until }) => stripe.customers.list({ ...page, created: { lte: until } }),
  subscriptions: ({ stripe, page, until }) =>
    stripe.subscriptions.list({ ...page, status: "all", created: { lte: until } }),
  invoices: ({ stripe, page, created }) => stripe.invoices.list({ ...page, created, expand: ["data.payments"] }),
  charges: ({ stripe, page, created }) => stripe.charges.list({ ...page, created }),
  refunds: ({ stripe, page, created }) => stripe.refunds.list({ ...page, created, expand: ["data.charge"] }),
  disputes: ({ stripe, page, created }) => stripe.disputes.list({ ...page, created, expand: ["data.charge"] }),
}

type EventWriter = (object: JsonObject, range: HistoryRange) => HistoricalEvent[]

const WRITE_EVENTS: Readonly<Record<Exclude<Stage, "invoices">, EventWriter>> = {
  customers: customerEvents,
  subscriptions: subscriptionEvents,
  charges: chargeEvents,
  refunds: refundEvents,
  disputes: disputeEvents,
}

/** As many invoices, from the first on, as there are look-ups for; each with the charges of its payment intent. */
async function invoicesOf(stripe: Stripe, invoices: readonly JsonObject[], range: HistoryRange) {
  const troubled = invoices.filter(hasFailedAttempts)
  const beyond = troubled[LOOKUPS_MAX]
  const taken = beyond === undefined ? invoices : invoices.slice(0, invoices.indexOf(beyond))
  return Promise.all(
    taken.map(async (invoice) => {
      const charges = hasFailedAttempts(invoice) ? await chargesOf(stripe, invoice) : []
      return invoiceEvents(invoice, charges, range)
    }),
  )
}

/** Since 2025 only the payment intent ties an invoice to its attempts. None where nothing was ever charged. */
async function chargesOf(stripe: Stripe, invoice: JsonObject): Promise<JsonObject[]> {
  const { paymentIntentId } = objectLinksOf(invoice)
  if (paymentIntentId === null) return []
  const list = await callStripe("listing charges of an invoice", () =>
    stripe.charges.list({ payment_intent: paymentIntentId, limit: LIST_MAX }),
  )
  return list.data.flatMap((charge) => (isObject(charge) ? [{ ...charge }] : []))
}
