/** The envelope of a Stripe event: the fields that every event of every API version has. */
import type { Instant } from "../../../../shared/domain/facts.ts"
import type { MalformedEvent } from "../../../../shared/provider.ts"
import { err, ok, type Result } from "../../../../shared/result.ts"
import { isId, isTypeName } from "../../ids.ts"
import { at, codeOf, idOf, instantOf, isObject, type JsonObject, listOf } from "./fields.ts"
import { objectLinksOf } from "./object-links.ts"

/** What a thin event (`v2.core.event`) has in place of its object (docs.stripe.com/event-destinations). */
export interface ThinPart {
  /** The snapshot event of the same change; null where the event names none. */
  readonly snapshotEventId: string | null
  readonly object: { readonly type: string; readonly id: string } | null
}

/** An event with a valid envelope; `object` is not validated yet. */
export interface StripeEvent {
  readonly id: string
  readonly type: string
  readonly apiVersion: string | null
  readonly account: string | null
  readonly occurredAt: Instant
  /** Why the event cannot be read although its envelope is valid; null for all others. */
  readonly fault: string | null
  /** `livemode` of the event, else of its object; null where neither has it. */
  readonly isLive: boolean | null
  /** Not null: the object is not in the event and must be looked up; then `object` is empty. */
  readonly thin: ThinPart | null
  readonly object: JsonObject
  /** The former values of the fields that an update changed; empty when the event does not give them. */
  readonly previous: JsonObject
}

/**
 * Reads the envelope. Malformed bodies are answered with 400 and not stored: one without an id or a type, which is no event,
 * and one with an account that cannot be read, which could belong to any company. `receivedAt` replaces a time that cannot
 * be read; such an event gives no facts.
 */
export function readEnvelope(body: unknown, receivedAt: Date): Result<StripeEvent, MalformedEvent> {
  if (!isObject(body)) return malformed("event is not an object")

  const type = body.type
  if (!isTypeName(type)) return malformed("event type is not a type")
  const account = body.account ?? null
  if (account !== null && !isId(account)) return malformed("event account is not an id")
  const isLive = livemodeOf(body.livemode) ?? livemodeOf(at(body, "data", "object", "livemode"))
  const envelope = { type, account, apiVersion: codeOf(body.api_version), isLive }
  return body.object === "v2.core.event"
    ? readThin(body, envelope, receivedAt)
    : readSnapshot(body, envelope, receivedAt)
}

/** Whether an object is of the live mode; null: it does not say. */
export const livemodeOf = (value: unknown): boolean | null => (typeof value === "boolean" ? value : null)

type Common = Pick<StripeEvent, "type" | "account" | "apiVersion" | "isLive">

function readSnapshot(body: JsonObject, common: Common, receivedAt: Date): Result<StripeEvent, MalformedEvent> {
  const occurredAt = body.created === 0 ? null : instantOf(body.created)
  const data = at(body, "data", "object")
  const object = isObject(data) ? data : {}
  const id = eventIdOf(body) ?? (common.type === "invoice.upcoming" ? upcomingIdOf(object) : null)
  if (id === null) return malformed("event id is not an id")

  const fault =
    occurredAt === null ? "event created is not a time in seconds" : isObject(data) ? null : "event has no object"
  const previous = at(body, "data", "previous_attributes")
  return ok({
    ...common,
    id,
    occurredAt: occurredAt ?? receivedAt.toISOString(),
    fault,
    thin: null,
    object,
    previous: isObject(previous) ? previous : {},
  })
}

/** Thin events have their time as ISO 8601 and a reference to the object (docs.stripe.com/event-destinations). */
function readThin(body: JsonObject, common: Common, receivedAt: Date): Result<StripeEvent, MalformedEvent> {
  const id = eventIdOf(body)
  if (id === null) return malformed("event id is not an id")
  const created = body.created
  const isIso = typeof created === "string" && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z$/.test(created)
  const occurredAt = isIso ? instantOf(Math.floor(Date.parse(created) / 1000)) : null

  const related = body.related_object
  const [objectType, objectId] = [codeOf(at(related, "type")), idOf(at(related, "id"))]
  const snapshot = body.snapshot_event
  const before = at(body, "changes", "before")
  return ok({
    ...common,
    account: accountOf(body.context),
    id,
    occurredAt: occurredAt ?? receivedAt.toISOString(),
    fault: occurredAt === null ? "event created is not a time" : null,
    thin: {
      snapshotEventId: isId(snapshot) ? snapshot : null,
      object: objectType === null || objectId === null ? null : { type: objectType, id: objectId },
    },
    object: {},
    previous: isObject(before) ? before : {},
  })
}

/** The connected account in an authentication context, which is one id or several, outermost first (`org_…/acct_…`). */
function accountOf(context: unknown): string | null {
  const last = typeof context === "string" ? context.split("/").at(-1) : undefined
  return last !== undefined && /^acct_[A-Za-z0-9]{1,250}$/.test(last) ? last : null
}

const eventIdOf = ({ id }: JsonObject): string | null => (isId(id) ? id : null)

/** `invoice.upcoming` may have no id (supabase/stripe-sync-engine#121): one per customer, subscription and period. */
function upcomingIdOf(invoice: JsonObject): string | null {
  const customer = idOf(invoice.customer)
  const periodEnd = invoice.period_end ?? at(listOf(invoice.lines), 0, "period", "end")
  if (customer === null || instantOf(periodEnd) === null) return null
  const subscription = objectLinksOf(invoice).subscriptionId ?? "none"
  const id = `upcoming_${customer}_${subscription}_${periodEnd}`.replaceAll(".", "-")
  // In long ids, the parts that distinguish two periods of one customer come first.
  return id.length <= 255 ? id : `upcoming_${periodEnd}_${subscription.slice(-100)}_${customer}`.slice(0, 255)
}

const malformed = (detail: string): Result<never, MalformedEvent> => err({ reason: "malformed", detail })
