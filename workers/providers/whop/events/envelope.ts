/**
 * The envelope of an event. The current one is `{ id, api_version, type, timestamp, data }` with `company_id`, or `account_id`
 * on endpoints pinned to 2026-08-14 or later (docs.whop.com/developer/guides/webhooks); the legacy v2 and v5 sent
 * `{ action, data }`, or `{ action, body }`, without an id or a time (whop.readme.io; package `@whop/api` 0.0.51).
 */
import type { Instant } from "../../../../shared/domain/facts.ts"
import type { MalformedEvent } from "../../../../shared/provider.ts"
import { err, ok, type Result } from "../../../../shared/result.ts"
import { isId, isTypeName } from "../../ids.ts"
import { idOf, instantOf, type JsonObject, objectOf, relatedId } from "./fields.ts"
import { fingerprint } from "./fingerprint.ts"

/** The fields of an envelope, and its object as `data`. */
export interface Envelope {
  readonly eventId: string
  /** The type as sent. */
  readonly type: string
  /** The type by its current name, which decides how the object is read. */
  readonly kind: string
  readonly apiVersion: string | null
  readonly account: string | null
  /**
   * False where the event is recognised as one of the sandbox. No field is documented for that; the URLs of its pages are on
   * `sandbox.whop.com` (docs.whop.com/developer/guides/sandbox). Null: unknown.
   */
  readonly isLive: boolean | null
  /** When the event was sent; where it does not say, when this delivery was. */
  readonly sentAt: Instant
  readonly data: JsonObject
  readonly previous: JsonObject
}

/** The source of what a legacy body lacks. */
export interface EnvelopeContext {
  readonly receivedAt: Date
  readonly headers: Headers
}

/** The envelope, or what is invalid in it, in a text that is safe to show. */
export function readEnvelope(body: unknown, context: EnvelopeContext): Result<Envelope, MalformedEvent> {
  const envelope = objectOf(body)
  if (envelope === null) return malformed("the event is not an object")
  if (isTypeName(envelope.type)) return readCurrent(envelope, context)
  if (isTypeName(envelope.action)) return readLegacy(envelope, context)
  return malformed("the event has neither type nor action")
}

function readCurrent(envelope: JsonObject, context: EnvelopeContext): Result<Envelope, MalformedEvent> {
  const eventId = idOf(envelope.id)
  if (eventId === null) return malformed("id is not an event id")
  const type = String(envelope.type)
  // An event whose company cannot be read could belong to any company.
  if (!isIdOrAbsent(envelope.company_id)) return malformed("company_id is not an id")
  if (!isIdOrAbsent(envelope.account_id)) return malformed("account_id is not an id")
  const data = dataOf(envelope)
  return ok({
    eventId,
    type,
    kind: currentName(type),
    apiVersion: typeName(envelope.api_version_date) ?? typeName(envelope.api_version),
    account: idOf(envelope.account_id) ?? idOf(envelope.company_id) ?? accountOf(data),
    isLive: isLiveOf(envelope, data),
    sentAt: instantOf(envelope.timestamp) ?? deliveredAt(context),
    data,
    previous: objectOf(envelope.previous_attributes) ?? {},
  })
}

function readLegacy(envelope: JsonObject, context: EnvelopeContext): Result<Envelope, MalformedEvent> {
  const action = String(envelope.action)
  const data = dataOf(envelope)
  return ok({
    // Without the header an event is identified by its content: a redelivery has the same body.
    eventId: idOf(context.headers.get("webhook-id")) ?? `legacy_${fingerprint(JSON.stringify(envelope))}`,
    type: action,
    kind: currentName(action),
    apiVersion: typeName(envelope.api_version),
    account: accountOf(data),
    isLive: isLiveOf(envelope, data),
    sentAt: deliveredAt(context),
    data,
    previous: {},
  })
}

/** The object, by its current or legacy name; a missing one reads as an object without fields. */
const dataOf = (envelope: JsonObject): JsonObject => objectOf(envelope.data) ?? objectOf(envelope.body) ?? {}

/**
 * `app_` or `app.` marks the copy for an app's own endpoint; some senders write `payment_failed` for `payment.failed`.
 */
function currentName(given: string): string {
  const name = given.replace(/^app[_.]/, "")
  const family = FAMILIES.find((candidate) => name.startsWith(`${candidate}_`))
  const dotted = name.includes(".") || family === undefined ? name : `${family}.${name.slice(family.length + 1)}`
  return LEGACY_NAMES.get(dotted) ?? dotted
}

/** The families of events that are read. */
const FAMILIES = ["payment", "membership", "invoice", "refund", "dispute", "setup_intent"]

const LEGACY_NAMES: ReadonlyMap<string, string> = new Map([
  ["membership.went_valid", "membership.activated"],
  ["membership.went_invalid", "membership.deactivated"],
])

/** When this delivery was signed, else when it was received. */
const deliveredAt = ({ headers, receivedAt }: EnvelopeContext): Instant => signedAt(headers) ?? receivedAt.toISOString()

function signedAt(headers: Headers): Instant | null {
  const seconds =
    headers.get("webhook-timestamp") ?? /^t=([0-9]{10}),/.exec(headers.get("x-whop-signature") ?? "")?.[1] ?? ""
  return /^[0-9]{10}$/.test(seconds) ? instantOf(Number(seconds)) : null
}

/** v5 memberships name the company `page_id`. */
const accountOf = (data: JsonObject): string | null =>
  relatedId(data, "account") ?? relatedId(data, "company") ?? idOf(data.page_id)

/** Whether an object names this company, or none. Without a company to compare with, any. */
export function isOfCompany(object: JsonObject, companyId: string | null): boolean {
  const named = accountOf(object)
  return companyId === null || named === null || named === companyId
}

/** The host of the pages of Whop's sandbox. */
const SANDBOX_HOST = "sandbox.whop.com"

const PAGES = ["manage_url", "recovery_url", "direct_link", "purchase_url"] as const

function isLiveOf(envelope: JsonObject, data: JsonObject): boolean | null {
  for (const { livemode } of [envelope, data]) if (typeof livemode === "boolean") return livemode
  const holders = [data, objectOf(data.membership) ?? {}, objectOf(data.plan) ?? {}]
  const hosts = holders.flatMap((holder) => PAGES.map((name) => hostOf(holder[name])))
  return hosts.includes(SANDBOX_HOST) ? false : null
}

const hostOf = (value: unknown): string | null =>
  typeof value === "string" ? (URL.parse(value)?.hostname ?? null) : null

const typeName = (value: unknown): string | null =>
  typeof value === "string" && /^[A-Za-z0-9_.-]{1,100}$/.test(value) ? value : null

const isIdOrAbsent = (value: unknown): boolean => value === undefined || value === null || value === "" || isId(value)

const malformed = (detail: string): Result<never, MalformedEvent> => err({ reason: "malformed", detail })
