/**
 * Normalizes one Whop event to a `Delivery`. Accepts any parsed JSON: the result is a delivery or a malformed event. Unknown
 * types, and objects that cannot be read, are stored as unhandled with the reason; they never fail the endpoint.
 */
import type { Instant } from "../../../../shared/domain/facts.ts"
import type { Delivery, MalformedEvent } from "../../../../shared/provider.ts"
import { ok, type Result } from "../../../../shared/result.ts"
import { type Envelope, type EnvelopeContext, readEnvelope } from "../events/envelope.ts"
import { contactOf, customerOf, type EventReader, notUsed } from "../events/event-reading.ts"
import { readInvoice } from "./invoice.ts"
import { readMembership } from "./membership.ts"
import { readPayment } from "./payment.ts"
import { readSetupIntent } from "./payment-method.ts"
import { readDispute, readRefund } from "./reversals.ts"

/** Readers by family: the first part of a type. */
const READERS: ReadonlyMap<string, EventReader> = new Map([
  ["payment", readPayment],
  ["membership", readMembership],
  ["invoice", readInvoice],
  ["refund", readRefund],
  ["dispute", readDispute],
  ["setup_intent", readSetupIntent],
])

/**
 * Families that concern neither payments nor cancellations (@whop/sdk, WebhookEvent). An alert is not a dispute yet; the
 * dispute follows as its own event. An entry is a place on a waiting list.
 */
const UNUSED_FAMILIES: ReadonlySet<string> = new Set([
  "chat",
  "course_lesson_interaction",
  "dispute_alert",
  "entry",
  "identity_profile",
  "ledger_account",
  "payout_account",
  "payout_method",
  "resolution_center_case",
  "verification",
  "withdrawal",
])

/** The known types of families that are read. Others of these families are newer than this code. */
const USED_KINDS: ReadonlySet<string> = new Set([
  "payment.created",
  "payment.pending",
  "payment.failed",
  "payment.succeeded",
  "payment.requires_action",
  "membership.activated",
  "membership.deactivated",
  "membership.trial_ending_soon",
  "membership.cancel_at_period_end_changed",
  "membership.updated",
  "membership.metadata_updated",
  "membership.experience_claimed",
  "invoice.created",
  "invoice.paid",
  "invoice.past_due",
  "invoice.voided",
  "invoice.marked_uncollectible",
  "refund.created",
  "refund.updated",
  "dispute.created",
  "dispute.updated",
  "setup_intent.succeeded",
  "setup_intent.requires_action",
  "setup_intent.canceled",
])

/** Normalizes an event of any version. `isSandbox`: the deployment uses the sandbox, so events of unknown mode are of it. */
export function normalize(
  body: unknown,
  context: EnvelopeContext,
  { isSandbox } = { isSandbox: false },
): Result<Delivery, MalformedEvent> {
  const envelope = readEnvelope(body, context)
  if (!envelope.ok) return envelope
  const delivery = deliveryOf(envelope.value)
  return ok(delivery.isLive === null ? { ...delivery, isLive: !isSandbox } : delivery)
}

function deliveryOf(envelope: Envelope): Delivery {
  const { eventId, type, kind, apiVersion, account, isLive, sentAt, data, previous } = envelope
  const event = { provider: "whop", account, isLive, providerEventId: eventId, type, apiVersion } as const
  const empty = { ...event, occurredAt: sentAt, customer: null, objects: [], facts: [], contact: null }

  const read = eventReaderFor(kind)
  if (read === null) return { ...empty, unhandled: "unknown type" }
  const reading = read({ kind, data, previous, at: sentAt })
  if (!reading.ok) return { ...empty, unhandled: reading.error }

  const { facts, subject, unhandled } = reading.value
  const customer = customerOf(subject) ?? customerOf(data)
  const objects = [...new Set(reading.value.objects.filter((id) => id !== null))]
  if (facts.length > 0 && customer === null && objects.length === 0) return { ...empty, unhandled: "names nobody" }

  const occurredAt = instantOfEvent(reading.value.happenedAt ?? null, sentAt)
  return {
    ...event,
    occurredAt,
    customer,
    objects,
    facts: facts.map((fact) => ({ ...fact, occurredAt })),
    contact: contactOf(subject),
    unhandled: unhandled ?? null,
  }
}

function eventReaderFor(kind: string): EventReader | null {
  const family = kind.slice(0, kind.indexOf("."))
  if (UNUSED_FAMILIES.has(family)) return ({ data }) => notUsed(data)
  return USED_KINDS.has(kind) ? (READERS.get(family) ?? null) : null
}

/** How far a clock may run ahead; a time further ahead cannot be when the event happened. */
const AHEAD_MAX_MS = 300_000

/**
 * The object's own time, where it has one, is preferred to that of sending: it is the same in every delivery. Each delivery of
 * a legacy event has its own time, and events from Whop's lists were never sent.
 */
const instantOfEvent = (happenedAt: Instant | null, sentAt: Instant): Instant =>
  happenedAt !== null && Date.parse(happenedAt) <= Date.parse(sentAt) + AHEAD_MAX_MS ? happenedAt : sentAt
