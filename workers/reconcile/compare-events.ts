/** Compares the provider's list of events with the recorded ones, and records those that are missing. */
import {
  type EventIdentity,
  eventKey,
  type FactQuery,
  knownEvents,
  knownFacts,
} from "../../db/queries/reconcile/known-events.ts"
import type { ReconciliationRow, Target } from "../../db/queries/reconcile/reconciliation.ts"
import { DELIVERY_GRACE_MS, duplicateKeyOf, fullWindow, recentWindow } from "../../shared/domain/reconcile/reconcile.ts"
import type { Services } from "../platform/services.ts"
import type { ReadDelivery } from "../webhooks/read-delivery.ts"
import { addUnavailable, type ReconcilePass, runStep } from "./comparison.ts"
import {
  advanceAll,
  apiOfTarget,
  type ChangedCustomers,
  isOwnedByCompany,
  readListed,
  recordAll,
} from "./record-events.ts"

/** Stripe's largest page, and the smallest that is worth a call. */
const PAGE_MAX = 100
const PAGE_MIN = 10

/** Subrequests per listed event, at most: it is looked up with its page, recorded, its customer loaded and advanced. */
const LISTED_SUBREQUESTS = 4

/** Bounds of one step, so that it ends well before its lease, and before the sweep treats its events as abandoned. */
const PAGES_MAX = 25
const FETCHED_MAX = 500

/** Pages on which nothing was missing are saved only this often: comparing them again is cheap. */
const SAVE_EVERY_PAGES = 5

export interface EventsStep {
  readonly kind: "recent" | "full"
  /** The requested start; null: as far back as the list goes. Only for `full`. */
  readonly since: string | null
  /** No further page is started after this time. */
  readonly untilMs: number
}

/** Runs one step of the comparison of events. Null: another worker has the lease. */
export function stepEvents(
  services: Services,
  target: Target,
  { kind, since, untilMs }: EventsStep,
): Promise<ReconciliationRow | null> {
  const { eventListDays } = services.providers[target.provider]
  const now = services.now().toISOString()
  return runStep(services, {
    key: { ...target, kind },
    since,
    window: (completeUntil) =>
      kind === "recent"
        ? recentWindow(completeUntil?.toISOString() ?? null, now, eventListDays)
        : fullWindow(since, now, eventListDays),
    completeUntil: (pass, before) => completeUntilOf(kind, pass, before),
    work: (pass, save) => compare(services, target, pass, untilMs, save),
  })
}

/** A pass with a requested start does not replace the daily full pass. */
function completeUntilOf(kind: EventsStep["kind"], { until, since }: ReconcilePass, before: Date | null): Date | null {
  if (kind === "full") return since === null ? new Date(until) : before
  return new Date(Math.max(Date.parse(until) - DELIVERY_GRACE_MS, before?.getTime() ?? 0))
}

async function compare(
  services: Services,
  target: Target,
  pass: ReconcilePass,
  untilMs: number,
  save: () => Promise<void>,
): Promise<boolean> {
  const changed: ChangedCustomers = new Map()
  const graceFrom = new Date(Date.parse(pass.until) - DELIVERY_GRACE_MS).toISOString()
  const fetchedBefore = pass.counts.fetched
  const missingInGrace: ReadDelivery[] = []
  try {
    for (let pages = 1; ; pages++) {
      const page = await readPage(services, target, pass)
      const missing = await missingOf(services, target, page.events)
      const overdue = missing.filter(({ delivery }) => delivery.occurredAt <= graceFrom)
      const inGrace = missing.filter((read) => read.delivery.occurredAt > graceFrom)
      await recordMissing(services, pass, overdue, changed)
      missingInGrace.push(...inGrace.filter((read) => !read.isConstructed))
      pass.counts.checked += page.events.length - inGrace.length
      for (const providerEventId of page.unreadable) addUnavailable(pass, { reason: "unreadable", providerEventId })

      pass.cursor = page.cursor
      if (page.cursor === null) break
      if (overdue.length > 0 || pages % SAVE_EVERY_PAGES === 0) await save()
      const isEnough =
        pages >= PAGES_MAX ||
        pass.counts.fetched - fetchedBefore >= FETCHED_MAX ||
        !services.budget.hasRoomFor(PAGE_MIN * LISTED_SUBREQUESTS)
      if (isEnough || services.now().getTime() >= untilMs) break
    }
    // Where webhooks were lost, those of the last minutes probably were too; and one of them may report the payment of an
    // invoice that another reports as failed.
    if (pass.counts.missing > 0) {
      await recordMissing(services, pass, missingInGrace, changed)
      pass.counts.checked += missingInGrace.length
    }
  } finally {
    await advanceAll(services, target.companyId, changed)
  }
  return pass.cursor === null
}

type ListedDelivery = ReadDelivery & { readonly isConstructed: boolean }

async function readPage(services: Services, target: Target, pass: ReconcilePass) {
  const api = await apiOfTarget(services, target)
  const { cursor, events: listed } = await api.listEvents({
    since: new Date(pass.from),
    until: new Date(pass.until),
    cursor: pass.cursor,
    limit: Math.max(PAGE_MIN, Math.min(PAGE_MAX, Math.floor(services.budget.room() / LISTED_SUBREQUESTS))),
  })
  const unreadable: string[] = []
  const events: ListedDelivery[] = []
  for (const event of listed) {
    const read = await readListed(services, target, event)
    if (read === null) unreadable.push(event.providerEventId)
    else if (await isOwnedByCompany(services, target, read)) {
      const isHistory = read.delivery.occurredAt < pass.pastBefore
      events.push({ ...read, isHistory, isConstructed: event.isConstructed ?? false })
    }
  }
  return { cursor, events, unreadable }
}

/** The events that were never recorded; of constructed ones, those whose facts are not in the ledger from another event. */
async function missingOf(
  { db }: Services,
  { companyId, provider }: Target,
  events: readonly ListedDelivery[],
): Promise<readonly ListedDelivery[]> {
  const known = await knownEvents(db, companyId, provider, events.map(identityOf))
  const unknown = events.filter((read) => !known.has(eventKey(identityOf(read))))
  const constructed = unknown.filter((read) => read.isConstructed)
  const queries = constructed.map(factQueriesOf)
  const areKnown = await knownFacts(db, companyId, provider, queries.flat())
  let offset = 0
  const knownByFacts = new Set(
    constructed.filter((_, index) => {
      const own = areKnown.slice(offset, offset + (queries[index]?.length ?? 0))
      offset += own.length
      return own.every(Boolean)
    }),
  )
  return unknown.filter((read) => !knownByFacts.has(read))
}

const identityOf = ({ delivery }: ReadDelivery): EventIdentity => delivery

const factQueriesOf = ({ delivery }: ReadDelivery): FactQuery[] =>
  delivery.facts.flatMap((fact) => {
    const key = duplicateKeyOf(fact)
    const { customer, objects } = delivery
    return key === null ? [] : [{ customer, object: objects[0] ?? null, kind: fact.kind, key }]
  })

async function recordMissing(
  services: Services,
  pass: ReconcilePass,
  reads: readonly ReadDelivery[],
  changed: ChangedCustomers,
): Promise<void> {
  const { newCount, rejected } = await recordAll(services, reads, changed)
  pass.counts.missing += newCount + rejected.length
  pass.counts.fetched += newCount
  for (const { delivery } of rejected) {
    addUnavailable(pass, { reason: "not_stored", providerEventId: delivery.providerEventId })
  }
}
