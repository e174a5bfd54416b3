/**
 * Concurrent writers of one customer, in pairs and triples, each with earlier events. Over 300 lines because the races and what
 * they do are bundled as one module for the mutants.
 */

import { type Db, makeDb } from "../../../db/client.ts"
import type { BackfillRow } from "../../../db/queries/reconcile/backfills.ts"
import type { StreamReading } from "../../../db/queries/recovery/ledger-pages.ts"
import { loadStream, recordDeliveries, recordDelivery } from "../../../db/queries/recovery/stream.ts"
import { parseConfig } from "../../../shared/config.ts"
import type { Fact } from "../../../shared/domain/facts.ts"
import { ON } from "../../../shared/domain/flags.ts"
import type { Flags } from "../../../shared/flags/flags.ts"
import { ingestSignals } from "../../../workers/interventions/record-signals.ts"
import { createBudget } from "../../../workers/platform/outbound/budget.ts"
import type { Services } from "../../../workers/platform/services.ts"
import { stripeProvider } from "../../../workers/providers/stripe/index.ts"
import { importPage } from "../../../workers/reconcile/import-history.ts"
import { advance, advanceAll } from "../../../workers/recovery/advance.ts"
import { sendNudges } from "../../../workers/recovery/nudges/nudges-job.ts"
import type { PendingAdvance } from "../../../workers/recovery/prepare-commit.ts"
import {
  eventIdFrom,
  factsOf,
  processingOf,
  type ReadDelivery,
  readDelivery,
} from "../../../workers/webhooks/read-delivery.ts"
import { newEventOf } from "../../../workers/webhooks/record-delivery.ts"
import { reprocess } from "../../../workers/webhooks/replay/reprocess.ts"
import type { Signal } from "../../../workers/webhooks/signal.ts"
import { envelope, invoiceEvent } from "../../support/events/events.ts"
import { VARS } from "../world/targets.ts"

/** The time of all races: no quiet hours, and within the partitions of the database. */
export const NOW = new Date("2026-11-10T12:00:00Z")

const config = parseConfig(VARS)
const CUSTOMER = "cus_a"
export const CUSTOMER_ID = `stripe_${CUSTOMER}`

/** Effects of a schedule outside of the database. */
export interface Outside {
  /** Ids of visible nudges. */
  readonly seen: string[]
}

/** The parts of the Worker that the races use, for one company and one session. */
export function servicesFor(database: string, outside: Outside): Services {
  // Without scoring, which does not write a customer's state.
  const off = ["ROLLBACK_MODE", "REAL_TIME_PREDICTIONS", "COMPANY_CLOSED"]
  const isOn = (name: string): boolean => !off.includes(name)
  const flags: Partial<Flags> = { isOn, isOnForAll: isOn, isOffForAll: (name) => !isOn(name), valueOf: () => ON }
  const log = { debug: noop, info: noop, warn: noop, error: noop, with: () => log }
  let ids = 0
  const channels = {
    email: {
      name: "email",
      isConfigured: true,
      async send(_message: unknown, { idempotencyKey }: { readonly idempotencyKey: string }) {
        outside.seen.push(idempotencyKey)
        return { kind: "sent", providerMessageId: null }
      },
    },
  } as unknown as Services["channels"]
  const services: Partial<Services> = {
    config,
    db: databaseOf(database),
    flags: async () => flags as Flags,
    qstash: { publish: async () => ({ messageId: "", isDuplicate: false }) } as unknown as Services["qstash"],
    providers: { stripe: stripe() } as unknown as Services["providers"],
    channels,
    channelsFor: async () => channels,
    budget: createBudget(1_000_000),
    log,
    now: () => NOW,
    newId: () => `${database}_${ids++}`,
    waitUntil: noop,
  }
  // Only what the races use is present.
  return services as Services
}

const noop = (): void => undefined

const stripe = () =>
  stripeProvider({
    ...config.providers.stripe,
    fetchFor: () => () => Promise.reject(new Error("no provider is called")),
  })

/** Sessions are identified by the user of their connection string. */
const databaseOf = (user: string): Db =>
  makeDb({
    url: `postgres://${user}:unused@interleavings.local/churn_saver`,
    fetchEndpoint: "http://interleavings.local/sql",
    timeoutMs: 60_000,
  })

/** What one session does. */
export type Act =
  | { readonly kind: "deliver"; readonly event: object }
  /** Deliveries that are recorded and committed in one call each. */
  | { readonly kind: "together"; readonly events: readonly object[] }
  | { readonly kind: "send" }
  | { readonly kind: "import"; readonly events: readonly object[] }
  | { readonly kind: "own"; readonly fact: "opted_out" | "clicked" }
  | { readonly kind: "replay"; readonly event: object }
  /** A usage signal of the company. */
  | { readonly kind: "signal"; readonly signal: Signal }

export interface Race {
  readonly name: string
  readonly before: readonly object[]
  readonly sessions: readonly Act[]
}

const at = (minutes: number): Date => new Date(NOW.getTime() + minutes * 60_000)

const invoice = (type: string, n: number, minutes: number, more: Record<string, unknown> = {}): object =>
  invoiceEvent({
    type: `invoice.${type}`,
    at: at(minutes),
    id: `evt_${type}_${n}_${-minutes * 10}`,
    customer: CUSTOMER,
    invoice: `in_${n}`,
    subscription: "sub_a",
    more,
  })

/** A charge that names neither customer nor invoice. */
const charge = (type: string, n: number, minutes: number): object =>
  envelope(`charge.${type}`, at(minutes), `evt_charge_${type}_${n}`, {
    id: `ch_${n}`,
    object: "charge",
    amount: 1_999,
    amount_refunded: 0,
    currency: "usd",
    status: type,
    paid: type === "succeeded",
    failure_code: "card_declined",
    outcome: { reason: "insufficient_funds", type: "issuer_declined" },
  })

const dispute = (n: number, minutes: number): object =>
  envelope("charge.dispute.created", at(minutes), `evt_dispute_${n}`, {
    ...{ id: `dp_${n}`, object: "dispute", charge: `ch_${n}`, status: "needs_response", reason: "general" },
    ...{ amount: 1_999, currency: "usd" },
  })

const used = (id: string, minutes: number): Act => ({
  kind: "signal",
  signal: {
    ...{ kind: "usage_recorded", id, customerId: CUSTOMER, occurredAt: at(minutes).toISOString() },
    ...{ meter: "logins", quantity: 1, subscriptionId: null },
  },
})

const deliver = (event: object): Act => ({ kind: "deliver", event })
const together = (...events: readonly object[]): Act => ({ kind: "together", events })
const PAID_BEFORE = invoice("paid", 0, -120)
const FAILED = invoice("payment_failed", 1, -1)

export const RACES: readonly Race[] = [
  {
    // Nothing is linked, so that neither waits for the other before it has read.
    name: "two deliveries about what is known",
    before: [invoice("payment_failed", 1, -200), invoice("payment_failed", 2, -190)],
    sessions: [deliver(invoice("payment_failed", 1, -9)), deliver(invoice("paid", 2, -8))],
  },
  {
    name: "two deliveries of one customer",
    before: [PAID_BEFORE],
    sessions: [deliver(invoice("payment_failed", 1, -9)), deliver(invoice("payment_failed", 2, -8))],
  },
  {
    name: "two deliveries that are recorded together, and a third",
    before: [PAID_BEFORE],
    sessions: [
      together(invoice("payment_failed", 1, -9), invoice("paid", 1, -7)),
      deliver(invoice("payment_failed", 2, -8)),
    ],
  },
  {
    name: "two sets of deliveries that share their objects, in opposite order",
    before: [],
    sessions: [
      together(charge("failed", 1, -9), invoice("payment_failed", 2, -8, { charge: "ch_2" })),
      together(charge("failed", 2, -7), invoice("payment_failed", 1, -6, { charge: "ch_1" })),
    ],
  },
  {
    name: "two deliveries of a customer whom nobody knew",
    before: [],
    sessions: [deliver(invoice("payment_failed", 1, -9)), deliver(invoice("paid", 1, -8))],
  },
  {
    name: "three deliveries of one customer",
    before: [PAID_BEFORE],
    sessions: [
      deliver(invoice("payment_failed", 1, -9)),
      deliver(invoice("paid", 1, -8)),
      deliver(invoice("payment_failed", 2, -7)),
    ],
  },
  {
    name: "one delivery, brought twice at once",
    before: [PAID_BEFORE],
    sessions: [deliver(FAILED), deliver(FAILED)],
  },
  {
    name: "a charge, and the invoice that ties it to its customer",
    before: [PAID_BEFORE],
    sessions: [deliver(charge("failed", 1, -9)), deliver(invoice("payment_failed", 1, -8, { charge: "ch_1" }))],
  },
  {
    name: "a dispute, its charge and the invoice of both",
    before: [],
    sessions: [
      deliver(dispute(1, -7)),
      deliver(charge("succeeded", 1, -9)),
      deliver(invoice("paid", 1, -8, { charge: "ch_1" })),
    ],
  },
  {
    name: "a delivery, and a nudge that is sent",
    before: [PAID_BEFORE, FAILED],
    sessions: [deliver(invoice("payment_failed", 2, -0.5)), { kind: "send" }],
  },
  {
    name: "a payment, and the nudge about it",
    before: [PAID_BEFORE, FAILED],
    sessions: [deliver(invoice("paid", 1, -0.5)), { kind: "send" }],
  },
  { name: "a nudge that is sent by two", before: [FAILED], sessions: [{ kind: "send" }, { kind: "send" }] },
  {
    name: "a delivery, and a page of an import",
    before: [PAID_BEFORE],
    sessions: [
      deliver(invoice("payment_failed", 1, -9)),
      { kind: "import", events: [invoice("paid", 7, -50), invoice("payment_failed", 8, -8)] },
    ],
  },
  {
    name: "an import that ties what a delivery tells",
    before: [],
    sessions: [
      deliver(charge("failed", 1, -9)),
      { kind: "import", events: [invoice("payment_failed", 1, -50, { charge: "ch_1" })] },
    ],
  },
  {
    name: "two commits of our own facts",
    before: [FAILED],
    sessions: [
      { kind: "own", fact: "opted_out" },
      { kind: "own", fact: "clicked" },
    ],
  },
  {
    name: "a delivery, an opt-out and a nudge that is sent",
    before: [FAILED],
    sessions: [deliver(invoice("payment_failed", 2, -0.5)), { kind: "own", fact: "opted_out" }, { kind: "send" }],
  },
  {
    name: "a signal of the company, and a delivery",
    before: [PAID_BEFORE],
    sessions: [used("use_1", -9), deliver(invoice("payment_failed", 1, -8))],
  },
  {
    name: "two signals of the company, and a delivery",
    before: [PAID_BEFORE],
    sessions: [used("use_1", -9), used("use_2", -7), deliver(invoice("paid", 1, -8))],
  },
  {
    name: "a delivery, and an event that is replayed",
    before: [PAID_BEFORE, FAILED],
    sessions: [deliver(invoice("paid", 1, -0.5)), { kind: "replay", event: FAILED }],
  },
]

const encode = (event: object): Uint8Array => new TextEncoder().encode(JSON.stringify(event))

/** The event as the endpoint reads it. */
export const readOf = (services: Services, event: object): Promise<ReadDelivery> =>
  readDelivery(services, {
    ...{ provider: "stripe", path: null, rawBody: encode(event), headers: new Headers(), receivedAt: NOW },
  })

/** Records a delivery and processes it, like the route. */
export async function deliverEvent(services: Services, companyId: string, event: object): Promise<void> {
  const read = await readOf(services, event)
  const written = await newEventOf(services, read, { companyId, isProcessing: true })
  const { stream } = await recordDelivery(services.db, written)
  if (stream !== null) await advance(services, stream, processingOf(read))
}

/** Records deliveries in one call, and commits their customers in one. */
async function deliverTogether(services: Services, companyId: string, events: readonly object[]): Promise<void> {
  const reads = await Promise.all(events.map((event) => readOf(services, event)))
  const written = await Promise.all(reads.map((read) => newEventOf(services, read, { companyId, isProcessing: true })))
  const recorded = await recordDeliveries(services.db, companyId, written)
  const works = new Map<StreamReading, PendingAdvance>()
  for (const [place, read] of reads.entries()) {
    const stream = recorded[place]?.stream
    if (!stream) continue
    const { events: own, factIds, ...rest } = processingOf(read)
    const other = works.get(stream)
    const merged = { events: [...(other?.events ?? []), ...own], factIds: [...(other?.factIds ?? []), ...factIds] }
    works.set(stream, {
      ...rest,
      ...merged,
      contactUpdates: [...(other?.contactUpdates ?? []), ...rest.contactUpdates],
    })
  }
  await advanceAll(
    services,
    companyId,
    [...works].map(([stream, work]) => ({ stream, work })),
  )
}

/** Ids of the facts that must be in the ledger after a race. */
export async function factIdsOf(services: Services, { before, sessions }: Race): Promise<string[]> {
  const delivered = [
    ...before,
    ...sessions.flatMap((act) => (act.kind === "deliver" ? [act.event] : "events" in act ? act.events : [])),
  ]
  const own = sessions.flatMap((act) => (act.kind === "own" ? [ownFact(act.fact).id] : []))
  const signalIds = sessions.flatMap((act) => (act.kind === "signal" ? [eventIdFrom(["signal", act.signal.id])] : []))
  const signals = (await Promise.all(signalIds)).map((id) => `${id}.0`)
  const reads = await Promise.all(delivered.map((event) => readOf(services, event)))
  return [...new Set([...reads.flatMap((read) => factsOf(read).map(({ id }) => id)), ...own, ...signals])]
}

const ownFact = (kind: "opted_out" | "clicked"): Fact =>
  kind === "opted_out"
    ? { kind: "opted_out", id: "own_opted_out", occurredAt: NOW.toISOString(), caseId: "payment_in_1", via: "page" }
    : {
        kind: "link_clicked",
        ...{ id: "own_clicked", occurredAt: NOW.toISOString(), caseId: "payment_in_1" },
        ...{ nudgeId: "payment_in_1.0.email", step: 0, channel: "email" },
      }

/** Does an act once. If it throws, its caller would retry. */
export async function runAct(services: Services, companyId: string, act: Act): Promise<void> {
  switch (act.kind) {
    case "deliver":
      return deliverEvent(services, companyId, act.event)
    case "together":
      return deliverTogether(services, companyId, act.events)
    case "send":
      await sendNudges(services, [{ companyId, id: "payment_in_1.0.email" }], null)
      return
    case "own": {
      const stream = await loadStream(services.db, companyId, CUSTOMER_ID, { whole: false })
      if (stream === null) throw new Error("there is no customer")
      return advance(services, stream, { events: [], factIds: [], contactUpdates: [], ownFacts: [ownFact(act.fact)] })
    }
    case "signal": {
      const afterwards: Promise<unknown>[] = []
      const waitUntil = (work: Promise<unknown>) => void afterwards.push(work)
      await ingestSignals({ ...services, waitUntil }, companyId, [act.signal])
      await Promise.all(afterwards)
      return
    }
    case "replay": {
      const { eventId } = await readOf(services, act.event)
      await reprocess(services, companyId, eventId)
      return
    }
    case "import": {
      const { events } = act
      const listed = events.map((event) => ({
        rawBody: encode(event),
        headers: new Headers(),
        providerEventId: (event as { readonly id: string }).id,
        occurredAt: NOW.toISOString(),
      }))
      const api = { listHistory: async () => ({ events: listed, cursor: null }) }
      // The deployment's own account belongs to the default company, so that is the importing company.
      const access = { ...config.access, defaultCompanyId: companyId }
      const providers = { stripe: { ...stripe(), apiFor: () => api } }
      const importing = { ...services, config: { ...config, access }, providers } as unknown as Services
      await importPage(importing, backfillOf(companyId))
    }
  }
}

const backfillOf = (companyId: string): BackfillRow => ({
  ...{ companyId, id: "backfill", provider: "stripe", account: "", cursor: null, revision: 0 },
  ...{ imported: 0, known: 0, unread: 0, requestedBy: "operator", finishedAt: null },
  ...{ since: at(-10_000), until: NOW, reached: at(-10_000), startedAt: NOW, updatedAt: NOW },
})
