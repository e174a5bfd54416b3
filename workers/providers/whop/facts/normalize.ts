/**
 * One Whop event as a `Delivery`. Total: whatever parsed JSON comes in, a delivery or a malformed event goes out. A type
 * we do not know, and an object we cannot read, are kept as unhandled with the reason; they never fail the endpoint.
 */
import type { Instant } from "../../../../shared/domain/facts.ts"
import type { Delivery, MalformedEvent } from "../../../../shared/provider.ts"
import { ok, type Result } from "../../../../shared/result.ts"
import { type Envelope, type EnvelopeContext, readEnvelope } from "./envelope.ts"
import { contactOf, customerOf, type EventReader, notUsed } from "./event-reading.ts"
import { readInvoice } from "./invoice.ts"
import { readMembership } from "./membership.ts"
import { readPayment } from "./payment.ts"
import { readSetupIntent } from "./payment-method.ts"
import { readDispute, readRefund } from "./reversals.ts"

/** Readers by the first word of a type. */
const READERS: ReadonlyMap<string, EventReader> = new Map([
  ["payment", readPayment],
  ["membership", readMembership],
  ["invoice", readInvoice],
  ["refund", readRefund],
  ["dispute", readDispute],
  ["setup_intent", readSetupIntent],
])

/**
 * The types that concern neither payments nor leaving (@whop/sdk, WebhookEvent). An alert is not a dispute yet; the dispute
 * follows as its own event. An entry is a place on a waiting list.
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

/** The types that are read. Others of the same families are newer than this code. */
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

/** Reads an event of any version. `isSandbox`: the deployment's Whop is the sandbox, and so is what does not say. */
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
  const nothing = { ...event, occurredAt: sentAt, customer: null, objects: [], facts: [], contact: null }

  const read = readerOf(kind)
  if (read === null) return { ...nothing, unhandled: "unknown type" }
  const reading = read({ kind, data, previous, at: sentAt })
  if (!reading.ok) return { ...nothing, unhandled: reading.error }

  const { facts, subject, unhandled } = reading.value
  const customer = customerOf(subject) ?? customerOf(data)
  const objects = [...new Set(reading.value.objects.filter((id) => id !== null))]
  if (facts.length > 0 && customer === null && objects.length === 0) return { ...nothing, unhandled: "names nobody" }

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

function readerOf(kind: string): EventReader | null {
  const family = kind.slice(0, kind.indexOf("."))
  if (UNUSED_FAMILIES.has(family)) return ({ data }) => notUsed(data)
  return USED_KINDS.has(kind) ? (READERS.get(family) ?? null) : null
}

/** A clock that runs ahead by no more than this is a clock; what lies further ahead is not when the event happened. */
const AHEAD_MAX_MS = 300_000

/**
 * The object's own time, where it has one, is preferred to that of sending: it says the same in every telling. Each attempt
 * to send a legacy event has its own time, and what is read from Whop's lists was never sent.
 */
const instantOfEvent = (happenedAt: Instant | null, sentAt: Instant): Instant =>
  happenedAt !== null && Date.parse(happenedAt) <= Date.parse(sentAt) + AHEAD_MAX_MS ? happenedAt : sentAt
