/**
 * Contact data of the customer in an event. Only the customer object can say that there is no address; an invoice has a copy
 * from when it was finalized, so a missing address there means nothing.
 */
import type { ProviderFactBody } from "../../../../shared/domain/facts.ts"
import type { ContactChange } from "../../../../shared/provider.ts"
import { at, type JsonObject } from "../events/fields.ts"

/** Longer than any address or name that Stripe accepts. */
const CONTACT_LENGTH_MAX = 512
const URL_LENGTH_MAX = 2048

/** ISO 3166-1 alpha-2, as Stripe writes countries. */
const COUNTRY = /^[A-Z]{2}$/

interface ContactFields {
  readonly name: unknown
  readonly email: unknown
  readonly phone: unknown
  /** Postal addresses that may have a country, the most reliable first. */
  readonly addresses?: readonly unknown[]
}

type CustomerSeen = Extract<ProviderFactBody, { kind: "customer_seen" }>

/** The contact data of the customer object: null or empty there means that there is none. */
export const contactOfCustomer = ({ name, email, phone, addresses }: ContactFields): ContactChange =>
  dropUndefined({
    name: textOf(name),
    email: textOf(email),
    phone: textOf(phone),
    country: countryOf(addresses),
  })

/** The contact data in a copy of the customer's details; null where it has none. */
export function contactOfSnapshot({ name, email, phone, addresses }: ContactFields): ContactChange | null {
  const contact = dropUndefined({
    name: textOf(name) ?? undefined,
    email: textOf(email) ?? undefined,
    phone: textOf(phone) ?? undefined,
    country: countryOf(addresses),
  })
  return Object.keys(contact).length === 0 ? null : { ...contact, isCopy: true }
}

/** The fact beside the contact data: whether there is an address, without the address. Null when the data do not say it. */
export function customerSeenFact(contact: ContactChange | null): CustomerSeen | null {
  if (contact === null || (contact.email === undefined && contact.phone === undefined)) return null
  return {
    kind: "customer_seen",
    ...(contact.email === undefined ? {} : { hasEmail: contact.email !== null }),
    ...(contact.phone === undefined ? {} : { hasPhone: contact.phone !== null }),
  }
}

/**
 * The page where an open invoice can be paid; that of a paid one shows a receipt. Only https pages of Stripe, because members
 * are sent there. Invoices have a `status` since 2018-11-08, before that `paid`.
 */
export function paymentPageOf(invoice: JsonObject): string | undefined {
  const { status, paid, hosted_invoice_url: url } = invoice
  if (status === undefined ? paid === true : status !== "open") return undefined
  if (typeof url !== "string" || url.length > URL_LENGTH_MAX || !URL.canParse(url)) return undefined
  const { protocol, hostname, port, username, password } = new URL(url)
  const isStripe = protocol === "https:" && hostname.endsWith(".stripe.com") && `${port}${username}${password}` === ""
  return isStripe ? url : undefined
}

/** Cleaned text without control characters; null for none, undefined for a value that is no text. */
function textOf(value: unknown): string | null | undefined {
  if (value === null) return null
  if (typeof value !== "string" || value.length > CONTACT_LENGTH_MAX) return undefined
  const text = value
    .toWellFormed()
    .replaceAll(/\p{Cc}+/gu, " ")
    .trim()
  return text === "" ? null : text
}

/** The first country in the addresses. */
const countryOf = (addresses: readonly unknown[] = []): string | undefined =>
  addresses.map((address) => at(address, "country")).find((code) => typeof code === "string" && COUNTRY.test(code)) as
    | string
    | undefined

type OrUndefined<T> = { readonly [K in keyof T]: T[K] | undefined }

/** Without undefined fields: in a `ContactChange`, absent means that the event does not give the field. */
function dropUndefined({ name, email, phone, country }: OrUndefined<ContactChange>): ContactChange {
  return {
    ...(name === undefined ? {} : { name }),
    ...(email === undefined ? {} : { email }),
    ...(phone === undefined ? {} : { phone }),
    ...(country === undefined ? {} : { country }),
  }
}
