/** The result of reading the object of an event, and readers for fields that every kind of object has. */
import type { Instant, ProviderFactBody } from "../../../../shared/domain/facts.ts"
import type { ContactChange } from "../../../../shared/provider.ts"
import { err, ok, type Result } from "../../../../shared/result.ts"
import { firstOf, idOf, instantOf, type JsonObject, objectOf, related, relatedId, textOf } from "./fields.ts"

/** The facts of one event and whom they concern. */
export interface EventReading {
  readonly facts: readonly ProviderFactBody[]
  /** The object with the person's data: the event's own, or the payment within it. */
  readonly subject: JsonObject
  /** Ids of related objects, most specific first; nulls are dropped later. */
  readonly objects: readonly (string | null)[]
  /** The object's own time, where it has one; it takes precedence over that of the envelope. */
  readonly happenedAt?: Instant | null
  readonly unhandled?: string
}

/** Reads one kind of object, or says why it cannot be read. */
export type EventReader = (event: ReaderInput) => Result<EventReading, string>

/** The input of a reader. `at` is when the event was sent. */
export interface ReaderInput {
  readonly kind: string
  readonly data: JsonObject
  readonly previous: JsonObject
  readonly at: Instant
}

/** For a known event that we have no use for; it still links its objects to their customer. */
export const notUsed = (data: JsonObject, reason = "not used"): Result<EventReading, string> =>
  ok({ facts: [], subject: data, objects: [idOf(data.id), relatedId(data, "membership")], unhandled: reason })

/** The object's own id, or an error when it has none. */
export function ownId(data: JsonObject, name: string): Result<string, string> {
  const id = idOf(data.id)
  return id === null ? err(`${name} has no id`) : ok(id)
}

/** The user to whom the object belongs; setup intents name the user within the member. */
export const customerOf = (subject: JsonObject): string | null =>
  relatedId(subject, "user") ?? relatedId(related(subject, "member"), "user")

/**
 * Contact data of the customer in the event. Whop sends `email: null` both for "has none" and for "you may not see it"
 * (@whop/sdk, Payment.User.email), so null is read as absent: it must not erase a known address.
 */
export function contactOf(subject: JsonObject): ContactChange | null {
  const user = objectOf(subject.user) ?? related(related(subject, "member"), "user")
  const name = textOf(user.name)
  const email = emailOf(user.email) ?? emailOf(subject.email) ?? emailOf(subject.customer_email)
  const phone =
    textOf(related(subject, "member").phone) ??
    textOf(related(subject, "membership").phone_number) ??
    textOf(subject.customer_phone)
  const country = textOf(related(subject, "billing_address").country)
  const paymentPageUrl = whopPage(subject.recovery_url) ?? whopPage(subject.manage_url)
  const contact: ContactChange = {
    ...(name !== null && { name }),
    ...(email !== null && { email }),
    ...(phone !== null && { phone }),
    ...(country !== null && /^[A-Z]{2}$/.test(country) && { country }),
    ...(paymentPageUrl !== null && { paymentPageUrl }),
  }
  return Object.keys(contact).length > 0 ? contact : null
}

/** The fact that the customer was seen, with whether the event has addresses. */
export function customerSeen(subject: JsonObject): ProviderFactBody {
  const contact = contactOf(subject)
  return {
    kind: "customer_seen",
    ...(typeof contact?.email === "string" && { hasEmail: true }),
    ...(typeof contact?.phone === "string" && { hasPhone: true }),
  }
}

/** Hosts to which a member may be sent. */
export const WHOP_HOSTS: readonly string[] = ["whop.com", ".whop.com"]

/** The URL when it is an https page of Whop on the usual port and without credentials, else null. */
export function whopPage(value: unknown): string | null {
  if (typeof value !== "string" || value.length > 2048) return null
  const url = URL.parse(value)
  if (url === null || url.protocol !== "https:" || url.port !== "" || url.username !== "" || url.password !== "")
    return null
  return WHOP_HOSTS.some((host) => (host.startsWith(".") ? url.hostname.endsWith(host) : url.hostname === host))
    ? url.href
    : null
}

/** A time that may be null in the event; undefined when the event has none of the fields. */
export function statedInstant(data: JsonObject, ...names: readonly string[]): Instant | null | undefined {
  const value = firstOf(data, ...names)
  if (value === undefined || value === null) return value
  return instantOf(value) ?? undefined
}

function emailOf(value: unknown): string | null {
  const text = textOf(value)
  return text !== null && /^[^\s@]+@[^\s@]+$/.test(text) ? text : null
}
