/** What reading the object of an event can come to, and the parts that every kind of object shares. */
import type { Instant, ProviderFactBody } from "../../../../shared/domain/facts.ts"
import type { ContactChange } from "../../../../shared/provider.ts"
import { err, ok, type Result } from "../../../../shared/result.ts"
import { firstOf, idOf, instantOf, type JsonObject, objectOf, related, relatedId, textOf } from "./fields.ts"

/** The facts of one event and whom they concern. */
export interface EventReading {
  readonly facts: readonly ProviderFactBody[]
  /** The object that tells of the person: the event's own, or the payment within it. */
  readonly subject: JsonObject
  /** Most specific first; nulls are dropped later. */
  readonly objects: readonly (string | null)[]
  /** When it happened, where the object says so better than the envelope; null elsewhere. */
  readonly happenedAt?: Instant | null
  readonly unhandled?: string
}

/** Reads one kind of object, or says why it cannot be read. */
export type EventReader = (event: ReaderInput) => Result<EventReading, string>

/** What a reader is given. `at` is when the event was sent. */
export interface ReaderInput {
  readonly kind: string
  readonly data: JsonObject
  readonly previous: JsonObject
  readonly at: Instant
}

/** An event that we know and have no use for; it still links the objects it names to their customer. */
export const notUsed = (data: JsonObject, reason = "not used"): Result<EventReading, string> =>
  ok({ facts: [], subject: data, objects: [idOf(data.id), relatedId(data, "membership")], unhandled: reason })

/** The object's own id, or that it has none. */
export function ownId(data: JsonObject, name: string): Result<string, string> {
  const id = idOf(data.id)
  return id === null ? err(`${name} has no id`) : ok(id)
}

/** The user whom the object belongs to; setup intents name the user within the member. */
export const customerOf = (subject: JsonObject): string | null =>
  relatedId(subject, "user") ?? relatedId(related(subject, "member"), "user")

/**
 * How to reach the customer, as far as the event says. Whop sends `email: null` both for "has none" and for "you may not
 * see it" (@whop/sdk, Payment.User.email), so null is read as not said: it must not erase an address we know.
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

/** That we have seen the customer, with what the event says about ways to reach them. */
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

/** A moment that the event may state as null; undefined when it has none of the fields. */
export function statedInstant(data: JsonObject, ...names: readonly string[]): Instant | null | undefined {
  const value = firstOf(data, ...names)
  if (value === undefined || value === null) return value
  return instantOf(value) ?? undefined
}

function emailOf(value: unknown): string | null {
  const text = textOf(value)
  return text !== null && /^[^\s@]+@[^\s@]+$/.test(text) ? text : null
}
