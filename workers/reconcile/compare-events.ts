/** The provider's own list of what happened, compared with what we recorded; what is missing is fetched. */
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

/** Stripe's largest page, and the smallest that is worth asking for. */
const PAGE_MAX = 100
const PAGE_MIN = 10

/** Calls that a listed event may cost: it is looked up with its page, recorded, and its customer read and brought up to date. */
const LISTED_SUBREQUESTS = 4

/** Bounds of one step, which ends well before the lease does and before the sweeper takes what it wrote for left behind. */
const PAGES_MAX = 25
const FETCHED_MAX = 500

/** Pages with nothing new are saved this often only: to see them again is cheap. */
const SAVED_EVERY = 5

export interface EventsStep {
  readonly kind: "recent" | "full"
  /** How far back somebody wants to look; null: as far as the list goes. Only for `full`. */
  readonly since: string | null
  /** No further page is begun after this moment. */
  readonly untilMs: number
}

/** Takes one step of the comparison of events. Null: another worker is at it. */
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

/** A pass over a time that somebody named is not the day's whole one. */
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
  const touched: ChangedCustomers = new Map()
  const youngerThan = new Date(Date.parse(pass.until) - DELIVERY_GRACE_MS).toISOString()
  const fetchedBefore = pass.counts.fetched
  const young: ReadDelivery[] = []
  try {
    for (let pages = 1; ; pages++) {
      const page = await readPage(services, target, pass)
      const missing = await missingOf(services, target, page.events)
      const settled = missing.filter(({ delivery }) => delivery.occurredAt <= youngerThan)
      const underWay = missing.filter((read) => read.delivery.occurredAt > youngerThan)
      await feed(services, pass, settled, touched)
      young.push(...underWay.filter((read) => !read.isConstructed))
      pass.counts.checked += page.events.length - underWay.length
      for (const providerEventId of page.unreadable) addUnavailable(pass, { reason: "unreadable", providerEventId })

      pass.cursor = page.cursor
      if (page.cursor === null) break
      if (settled.length > 0 || pages % SAVED_EVERY === 0) await save()
      const isEnough =
        pages >= PAGES_MAX ||
        pass.counts.fetched - fetchedBefore >= FETCHED_MAX ||
        !services.budget.hasRoomFor(PAGE_MIN * LISTED_SUBREQUESTS)
      if (isEnough || services.now().getTime() >= untilMs) break
    }
    // Where webhooks were lost, those of the last minutes probably were too; and one may pay what another says has failed.
    if (pass.counts.missing > 0) {
      await feed(services, pass, young, touched)
      pass.counts.checked += young.length
    }
  } finally {
    await advanceAll(services, target.companyId, touched)
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

/** Those that we never recorded; of those that we wrote ourselves, the ones whose facts no other telling brought. */
async function missingOf(
  { db }: Services,
  { companyId, provider }: Target,
  events: readonly ListedDelivery[],
): Promise<readonly ListedDelivery[]> {
  const known = await knownEvents(db, companyId, provider, events.map(nameOf))
  const unknown = events.filter((read) => !known.has(eventKey(nameOf(read))))
  const constructed = unknown.filter((read) => read.isConstructed)
  const wanted = constructed.map(factQueriesOf)
  const flags = await knownFacts(db, companyId, provider, wanted.flat())
  let place = 0
  const told = new Set(
    constructed.filter((_, index) => {
      const own = flags.slice(place, place + (wanted[index]?.length ?? 0))
      place += own.length
      return own.every(Boolean)
    }),
  )
  return unknown.filter((read) => !told.has(read))
}

const nameOf = ({ delivery }: ReadDelivery): EventIdentity => delivery

const factQueriesOf = ({ delivery }: ReadDelivery): FactQuery[] =>
  delivery.facts.flatMap((fact) => {
    const happening = duplicateKeyOf(fact)
    const { customer, objects } = delivery
    return happening === null ? [] : [{ customer, object: objects[0] ?? null, kind: fact.kind, happening }]
  })

async function feed(
  services: Services,
  pass: ReconcilePass,
  reads: readonly ReadDelivery[],
  touched: ChangedCustomers,
): Promise<void> {
  const { isNew, refused } = await recordAll(services, reads, touched)
  pass.counts.missing += isNew + refused.length
  pass.counts.fetched += isNew
  for (const { delivery } of refused) {
    addUnavailable(pass, { reason: "not_stored", providerEventId: delivery.providerEventId })
  }
}
