/**
 * A company's past from Stripe's lists, page by page: customers, subscriptions, then month by month invoices, charges,
 * refunds and disputes. These lists reach as far back as the account; the list of events only thirty days.
 */
import type Stripe from "stripe"
import * as z from "zod"
import type { HistoricalEvent, HistoryPage, HistoryRequest } from "../../../../shared/provider.ts"
import { isObject, type JsonObject } from "../events/fields.ts"
import { objectLinksOf } from "../events/object-links.ts"
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

/** Stripe's largest page. */
const LIST_MAX = 100

/** Lists called for a page, at most, so that months without objects need no page each. */
const LISTS_MAX = 8

/** Invoices of a page whose charges are looked up; with the lists, a page stays far below 50 calls. */
const LOOKUPS_MAX = 20

/** Billing is listed in ascending spans of this length, so that progress is a date. */
const SPAN_SECONDS = 31 * 86_400

const STAGES = ["customers", "subscriptions", "invoices", "charges", "refunds", "disputes"] as const
type Stage = (typeof STAGES)[number]

/** The position in the import: in which list of which span, after which object. */
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
    throw apiErrorOf("the cursor is not of this list")
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
  // The object of the cursor was deleted (a draft, a customer): the list starts again, and duplicates are skipped.
  if (list === null) return { events: [], next: { stage, from, after: null } }
  const objects = list.data.filter(isObject)
  const eventsByObject =
    stage === "invoices"
      ? await invoicesOf(stripe, objects, range)
      : objects.map((object) => WRITE_EVENTS[stage](object, range))

  const events: HistoricalEvent[] = []
  let taken = 0
  for (const objectEvents of eventsByObject) {
    if (taken > 0 && events.length + objectEvents.length > limit) break
    events.push(...objectEvents)
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

/** Customers and subscriptions are listed whenever they were created: their bills may be in the range. */
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

/** The events of as many invoices, from the first on, as the bound of lookups allows; with the charges of each. */
async function invoicesOf(stripe: Stripe, invoices: readonly JsonObject[], range: HistoryRange) {
  const firstBeyond = invoices.filter(hasFailedAttempts)[LOOKUPS_MAX]
  const taken = firstBeyond === undefined ? invoices : invoices.slice(0, invoices.indexOf(firstBeyond))
  return Promise.all(
    taken.map(async (invoice) => {
      const charges = hasFailedAttempts(invoice) ? await chargesOf(stripe, invoice) : []
      return invoiceEvents(invoice, charges, range)
    }),
  )
}

/** Since 2025 only the payment intent links an invoice to its charges. None where nothing was ever charged. */
async function chargesOf(stripe: Stripe, invoice: JsonObject): Promise<JsonObject[]> {
  const { paymentIntentId } = objectLinksOf(invoice)
  if (paymentIntentId === null) return []
  const list = await callStripe("listing charges of an invoice", () =>
    stripe.charges.list({ payment_intent: paymentIntentId, limit: LIST_MAX }),
  )
  return list.data.flatMap((charge) => (isObject(charge) ? [{ ...charge }] : []))
}
