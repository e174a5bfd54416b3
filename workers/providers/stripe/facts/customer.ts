/** Events about the customer: the customer itself, a completed checkout, and payment methods. */
import type { ProviderFactBody } from "../../../../shared/domain/facts.ts"
import { type EventReader, unhandled, withFacts } from "../events/event-reading.ts"
import { at, idOf, isObject, type JsonObject } from "../events/fields.ts"
import { contactOfCustomer, contactOfSnapshot, customerSeenFact } from "./contact.ts"

/** `customer.created` and `customer.updated`: authoritative for address, language and time zone. */
export const customerSaved: EventReader = ({ object }) => {
  if (idOf(object.id) === null) return unhandled("customer: id is missing or not as expected")
  if (object.deleted === true) return withFacts({ kind: "customer_seen", deleted: true })
  const { name, email, phone } = object
  const contact = contactOfCustomer({ name, email, phone, addresses: [object.address, at(object.shipping, "address")] })
  const timeZone = timeZoneOf(object)
  const locale = localeOf(object)
  const seen: ProviderFactBody = {
    ...(customerSeenFact(contact) ?? { kind: "customer_seen" }),
    ...(timeZone === undefined ? {} : { timeZone }),
    ...(locale === undefined ? {} : { locale }),
  }
  return { facts: [seen], contact, unhandled: null }
}

/** `customer.deleted`: the details that it still has are not used. */
export const customerDeleted: EventReader = ({ object }) =>
  idOf(object.id) === null
    ? unhandled("customer: id is missing or not as expected")
    : withFacts({ kind: "customer_seen", deleted: true })

/** `checkout.session.completed`: what the buyer entered; older versions have `customer_email` only. */
export const checkoutCompleted: EventReader = ({ object }) => {
  if (idOf(object.customer) === null) return unhandled("not used") // a guest has no subscription
  const details = object.customer_details
  const contact = contactOfSnapshot({
    name: at(details, "name"),
    email: at(details, "email") ?? object.customer_email,
    phone: at(details, "phone"),
    addresses: [at(details, "address")],
  })
  const seen = customerSeenFact(contact)
  return { facts: seen === null ? [] : [seen], contact, unhandled: seen === null ? "not used" : null }
}

/** A card or account was added (`payment_method.attached`, `customer.source.created`). */
export const paymentMethodAdded: EventReader = ({ object }) => {
  const paymentMethodId = idOf(object.id)
  if (paymentMethodId === null) return unhandled("payment method: id is missing or not as expected")
  return withFacts({ kind: "payment_method_added", paymentMethodId })
}

/** Stripe received a new card number or expiry from the card network; the member did nothing. */
export const paymentMethodUpdatedByProvider: EventReader = ({ object }) => {
  const paymentMethodId = idOf(object.id)
  if (paymentMethodId === null) return unhandled("payment method: id is missing or not as expected")
  return withFacts({ kind: "payment_method_updated_by_provider", paymentMethodId })
}

/** Stripe has no field for it; these are the names under which companies keep it in the metadata. */
const TIME_ZONE_KEYS = ["time_zone", "timezone", "timeZone", "tz"]

/** An IANA name; null when the metadata has another value, undefined when it has none. */
function timeZoneOf(customer: JsonObject): string | null | undefined {
  const metadata = customer.metadata
  const name = TIME_ZONE_KEYS.map((key) => at(metadata, key)).find((value) => value !== undefined)
  if (name === undefined) return undefined
  // Intl also accepts offsets such as +01:00, which have no daylight saving time.
  if (typeof name !== "string" || !/^[A-Za-z][A-Za-z0-9_+/-]{0,63}$/.test(name)) return null
  try {
    new Intl.DateTimeFormat("en", { timeZone: name })
    return name
  } catch {
    return null
  }
}

/** The first preferred language; null when the list is empty; undefined when the event has no list. */
function localeOf(customer: JsonObject): string | null | undefined {
  const locales = customer.preferred_locales
  if (!Array.isArray(locales)) return isObject(locales) || locales === undefined ? undefined : null
  const first: unknown = locales[0]
  return typeof first === "string" && /^[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8}){0,3}$/.test(first) ? first : null
}
