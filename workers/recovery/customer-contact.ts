/** A member's name and addresses: opened and sealed here and nowhere else, each field as of the event that said it. */
import * as z from "zod"
import type { ContactChange as SealedContact } from "../../db/queries/recovery/commit.ts"
import type { Stream } from "../../db/queries/recovery/ledger-pages.ts"
import type { IndexedAddresses } from "../../db/queries/recovery/persons.ts"
import { addressIndexes } from "../../shared/contact/address-index.ts"
import { newDataKey, unwrapDataKey } from "../../shared/crypto/data-key.ts"
import type { KeyRing } from "../../shared/crypto/key-ring.ts"
import { openJsonWith, sealJsonWith } from "../../shared/crypto/seal.ts"
import type { Instant } from "../../shared/domain/facts.ts"
import type { ContactChange } from "../../shared/provider.ts"

const field = z.object({ value: z.string().nullable(), asOf: z.string() })
const fields = {
  name: field.optional(),
  email: field.optional(),
  phone: field.optional(),
  paymentPageUrl: field.optional(),
  country: field.optional(),
}
const stored = z.object({
  ...fields,
  /** The newest copy of each: it counts where the customer's own word is that there is none, and the copy is newer. */
  copies: z.object(fields).optional(),
})
type StoredContact = z.infer<typeof stored>
type Fields = Omit<StoredContact, "copies">

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
export async function decryptContact(keys: KeyRing, stream: ContactHolder): Promise<Contact> {
  const { contact } = await openStored(keys, stream)
  return {
    name: knownOf(contact, "name"),
    email: knownOf(contact, "email"),
    phone: knownOf(contact, "phone"),
    paymentPageUrl: knownOf(contact, "paymentPageUrl"),
    country: knownOf(contact, "country"),
  }
}

/**
 * The customer's own word; where that is "none", a copy of a later event. In the same way the newest fact says whether there
 * is an address, so that what is planned has one: invoices show an address that a webhook of the customer never told.
 */
function knownOf({ copies, ...own }: StoredContact, name: keyof Fields): string | null {
  const copy = copies?.[name]
  const said = own[name]
  const isNewer = said !== undefined && copy !== undefined && momentOf(copy) > momentOf(said)
  return said?.value ?? (isNewer ? copy.value : null)
}

/** The time and the event of a word, without whose it is. */
const momentOf = ({ asOf }: z.infer<typeof field>): string => asOf.slice(asOf.indexOf(" ") + 1)

/** One event's word on the contact, and when it was said (time and event id, so that ties are settled alike). */
export interface ContactUpdate {
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
  words: readonly ContactUpdate[],
): Promise<SealedContact | null> {
  if (words.length === 0) return null
  const { contact, dataKey } = await openStored(keys, stream)
  const merged = words.reduce(mergeContactUpdate, contact)
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

async function indexed(keys: KeyRing, companyId: string, contact: StoredContact): Promise<IndexedAddresses> {
  const addresses = { email: knownOf(contact, "email"), phone: knownOf(contact, "phone") }
  return { indexes: await addressIndexes(keys, companyId, addresses), version: keys.newestVersion }
}

function mergeContactUpdate(contact: StoredContact, { change, occurredAt, eventId }: ContactUpdate): StoredContact {
  const { isCopy = false, ...said } = change
  const { copies = {}, ...own } = contact
  // The customer's own word sorts after every copy; among equals the newest counts.
  const asOf = `${isCopy ? "copy" : "own"} ${occurredAt} ${eventId}`
  const merged = withNewer(own, said, asOf)
  if (!isCopy) return { ...merged, ...(contact.copies && { copies }) }
  return { ...merged, copies: withNewer(copies, said, asOf) }
}

/** The fields with those that are said, where this word is the newest. */
function withNewer(known: Fields, said: Omit<ContactChange, "isCopy">, asOf: string): Fields {
  const newer = Object.entries(said).filter(
    ([name, value]) => value !== undefined && asOf > (known[name as keyof Fields]?.asOf ?? ""),
  )
  // Named in a fixed order, so that the same words always make the same text.
  const { name, email, phone, paymentPageUrl, country } = {
    ...known,
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
