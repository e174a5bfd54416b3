/**
 * What surrounds the object of an event. Today's envelope is `{ id, api_version, type, timestamp, data }` with
 * `company_id`, or `account_id` on endpoints pinned to 2026-08-14 or later (docs.whop.com/developer/guides/webhooks);
 * the former v2 and v5 sent `{ action, data }` without an id or a time (whop.readme.io; package `@whop/api` 0.0.51).
 */
import type { Instant } from "../../../shared/domain/facts.ts"
import { err, ok, type Result } from "../../../shared/result.ts"
import type { MalformedEvent } from "../provider.ts"
import { idOf, instantOf, type JsonObject, objectOf, relatedId } from "./fields.ts"
import { fingerprint } from "./fingerprint.ts"

/** An event with its wrapping taken off. */
export interface Envelope {
  readonly eventId: string
  /** The type as Whop spelt it. */
  readonly type: string
  /** The type in today's names: what to read the object as. */
  readonly kind: string
  readonly apiVersion: string | null
  readonly account: string | null
  /**
   * False where the event marks itself as one of the sandbox. Nothing in it is documented to do so; its pages do, which lie
   * on `sandbox.whop.com` (docs.whop.com/developer/guides/sandbox). Null: it does not say.
   */
  readonly isLive: boolean | null
  /** When it was sent; of `{ action, data }`, which does not say, when this attempt was. */
  readonly sentAt: Instant
  readonly data: JsonObject
  readonly previous: JsonObject
}

/** Where the parts come from that a legacy body lacks. */
export interface EnvelopeContext {
  readonly receivedAt: Date
  readonly headers: Headers
}

/** The envelope, or what is wrong with it in words that are safe to show. */
export function readEnvelope(body: unknown, context: EnvelopeContext): Result<Envelope, MalformedEvent> {
  const envelope = objectOf(body)
  if (envelope === null) return malformed("the event is not an object")
  const data = objectOf(envelope.data)
  if ("type" in envelope) return readCurrent(envelope, data)
  if ("action" in envelope) return readLegacy(envelope, data, context)
  return malformed("the event has neither type nor action")
}

function readCurrent(envelope: JsonObject, data: JsonObject | null): Result<Envelope, MalformedEvent> {
  const eventId = idOf(envelope.id)
  if (eventId === null) return malformed("id is not an event id")
  const type = typeName(envelope.type)
  if (type === null) return malformed("type is not the name of an event")
  const sentAt = instantOf(envelope.timestamp)
  if (sentAt === null) return malformed("timestamp is not a time")
  if (!isTextOrAbsent(envelope.api_version)) return malformed("api_version is not text")
  if (!isTextOrAbsent(envelope.company_id)) return malformed("company_id is not text")
  if (!isTextOrAbsent(envelope.account_id)) return malformed("account_id is not text")
  if (data === null) return malformed("data is not an object")
  return ok({
    eventId,
    type,
    kind: type,
    apiVersion: typeName(envelope.api_version_date) ?? typeName(envelope.api_version),
    account: idOf(envelope.account_id) ?? idOf(envelope.company_id) ?? accountOf(data),
    isLive: isLiveOf(envelope, data),
    sentAt,
    data,
    previous: objectOf(envelope.previous_attributes) ?? {},
  })
}

function readLegacy(
  envelope: JsonObject,
  data: JsonObject | null,
  { headers, receivedAt }: EnvelopeContext,
): Result<Envelope, MalformedEvent> {
  const action = typeName(envelope.action)
  if (action === null) return malformed("action is not the name of an event")
  if (!isTextOrAbsent(envelope.api_version)) return malformed("api_version is not text")
  if (data === null) return malformed("data is not an object")
  return ok({
    // Without the header the same event is known by its content: an attempt is repeated with the same body.
    eventId: idOf(headers.get("webhook-id")) ?? `legacy_${fingerprint(JSON.stringify(envelope))}`,
    type: action,
    kind: currentName(action),
    apiVersion: typeName(envelope.api_version),
    account: accountOf(data),
    isLive: isLiveOf(envelope, data),
    sentAt: signedAt(headers) ?? receivedAt.toISOString(),
    data,
    previous: {},
  })
}

/** `app_` marks the copy for an app's own endpoint; some senders write `payment_failed` for `payment.failed`. */
function currentName(action: string): string {
  const name = action.replace(/^app_/, "")
  const dotted = name.includes(".") ? name : name.replace("_", ".")
  return LEGACY_NAMES.get(dotted) ?? dotted
}

const LEGACY_NAMES: ReadonlyMap<string, string> = new Map([
  ["membership.went_valid", "membership.activated"],
  ["membership.went_invalid", "membership.deactivated"],
])

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

/** Where Whop's sandbox shows its pages. */
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

const isTextOrAbsent = (value: unknown): boolean => value === undefined || value === null || typeof value === "string"

const malformed = (detail: string): Result<never, MalformedEvent> => err({ reason: "malformed", detail })
