/** A member's name and addresses: opened and sealed here and nowhere else, each field as of the event that said it. */
import * as z from "zod"
import type { IndexedAddresses } from "../../db/queries/addresses.ts"
import type { ContactChange as SealedContact } from "../../db/queries/commit.ts"
import type { Stream } from "../../db/queries/stream.ts"
import { addressIndexes } from "../../shared/address-index.ts"
import { newDataKey, unwrapDataKey } from "../../shared/crypto/data-key.ts"
import type { KeyRing } from "../../shared/crypto/key-ring.ts"
import { openJsonWith, sealJsonWith } from "../../shared/crypto/seal.ts"
import type { Instant } from "../../shared/domain/facts.ts"
import type { ContactChange } from "../providers/provider.ts"

const field = z.object({ value: z.string().nullable(), asOf: z.string() })
const stored = z.object({
  name: field.optional(),
  email: field.optional(),
  phone: field.optional(),
  paymentPageUrl: field.optional(),
  country: field.optional(),
})
type StoredContact = z.infer<typeof stored>

/** What is known now; null where nobody said it or it was said to be none. */
export interface Contact {
  readonly name: string | null
  readonly email: string | null
  readonly phone: string | null
  readonly paymentPageUrl: string | null
  readonly country: string | null
}

/** The part of a stream that a contact is opened with. */
export type ContactHolder = Pick<Stream, "companyId" | "sealedContact" | "wrappedDataKey"> & {
  readonly customer: { readonly id: string }
}

const keyContext = ({ companyId, customer }: ContactHolder) => ["customer_keys", "wrapped", customer.id, companyId]
const contactContext = ({ companyId, customer }: ContactHolder) => ["customer_pii", "sealed", customer.id, companyId]

/** Opens the contact of a stream; nothing known is a contact of nulls. */
export async function openContact(keys: KeyRing, stream: ContactHolder): Promise<Contact> {
  const { contact } = await openStored(keys, stream)
  return {
    name: contact.name?.value ?? null,
    email: contact.email?.value ?? null,
    phone: contact.phone?.value ?? null,
    paymentPageUrl: contact.paymentPageUrl?.value ?? null,
    country: contact.country?.value ?? null,
  }
}

/** One event's word on the contact, and when it was said (time and event id, so that ties are settled alike). */
export interface ContactWord {
  readonly change: ContactChange
  readonly occurredAt: Instant
  readonly eventId: string
}

/**
 * The stored contact with the words merged in, sealed; each field keeps its newest word, so the order of arrival does not
 * matter. Null when nothing changed.
 */
export async function mergeContact(
  keys: KeyRing,
  stream: ContactHolder,
  words: readonly ContactWord[],
): Promise<SealedContact | null> {
  if (words.length === 0) return null
  const { contact, dataKey } = await openStored(keys, stream)
  const merged = words.reduce(mergeWord, contact)
  if (JSON.stringify(merged) === JSON.stringify(contact)) return null
  const key = dataKey === null ? await newDataKey(keys, keyContext(stream)) : { key: dataKey, wrapped: null }
  const sealed = await sealJsonWith(key.key, contactContext(stream), merged)
  return { sealed, newWrappedKey: key.wrapped, addresses: await indexed(keys, stream.companyId, merged) }
}

/** The blind indexes of the addresses of a stored contact. */
export async function indexContact(keys: KeyRing, stream: ContactHolder): Promise<IndexedAddresses> {
  const { contact } = await openStored(keys, stream)
  return indexed(keys, stream.companyId, contact)
}

async function indexed(keys: KeyRing, companyId: string, { email, phone }: StoredContact): Promise<IndexedAddresses> {
  const addresses = { email: email?.value ?? null, phone: phone?.value ?? null }
  return { indexes: await addressIndexes(keys, companyId, addresses), version: keys.newestVersion }
}

function mergeWord(contact: StoredContact, { change, occurredAt, eventId }: ContactWord): StoredContact {
  const { isCopy = false, ...fields } = change
  const said = Object.entries(fields).filter(([, value]) => value !== undefined)
  // The customer's own word sorts after every copy; among equals the newest counts.
  const asOf = `${isCopy ? "copy" : "own"} ${occurredAt} ${eventId}`
  const newer = said.filter(([name]) => asOf > (contact[name as keyof StoredContact]?.asOf ?? ""))
  // Named in a fixed order, so that the same words always make the same text.
  const { name, email, phone, paymentPageUrl, country } = {
    ...contact,
    ...Object.fromEntries(newer.map(([fieldName, value]) => [fieldName, { value, asOf }])),
  }
  return { name, email, phone, paymentPageUrl, country }
}

async function openStored(
  keys: KeyRing,
  stream: ContactHolder,
): Promise<{ readonly contact: StoredContact; readonly dataKey: CryptoKey | null }> {
  if (stream.wrappedDataKey === null) return { contact: {}, dataKey: null }
  const dataKey = await unwrapDataKey(keys, keyContext(stream), stream.wrappedDataKey)
  if (stream.sealedContact === null) return { contact: {}, dataKey }
  return { contact: stored.parse(await openJsonWith(dataKey, contactContext(stream), stream.sealedContact)), dataKey }
}
