/** A member's name and addresses: opened and sealed only here; each field has the time of the event that stated it. */
import * as z from "zod"
import type { ContactChange as SealedContact } from "../../../db/queries/recovery/commit.ts"
import type { Stream } from "../../../db/queries/recovery/ledger-pages.ts"
import type { ContactIndexes } from "../../../db/queries/recovery/persons.ts"
import { addressIndexes } from "../../../shared/contact/address-index.ts"
import { nameIndexes } from "../../../shared/contact/name-index.ts"
import { newDataKey, unwrapDataKey } from "../../../shared/crypto/data-key.ts"
import type { KeyRing } from "../../../shared/crypto/key-ring.ts"
import { openJsonWith, sealJsonWith } from "../../../shared/crypto/seal.ts"
import type { Instant } from "../../../shared/domain/facts.ts"
import type { ContactChange } from "../../../shared/provider.ts"

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
  /** The newest copy of each field (as on an invoice): used where the customer object states none and the copy is newer. */
  copies: z.object(fields).optional(),
})
type StoredContact = z.infer<typeof stored>
type Fields = Omit<StoredContact, "copies">

/** The current values; null: not stated, or stated to be none. */
export interface Contact {
  readonly name: string | null
  readonly email: string | null
  readonly phone: string | null
  readonly paymentPageUrl: string | null
  readonly country: string | null
}

/** The part of a stream that is needed to open its contact. */
export type ContactHolder = Pick<Stream, "companyId" | "sealedContact" | "wrappedDataKey"> & {
  readonly customer: { readonly id: string }
}

const keyContext = ({ companyId, customer }: ContactHolder) => ["customer_keys", "wrapped", customer.id, companyId]
const contactContext = ({ companyId, customer }: ContactHolder) => ["customer_pii", "sealed", customer.id, companyId]

/** Opens the contact of a stream; all fields are null if there is none. */
export async function decryptContact(keys: KeyRing, stream: ContactHolder): Promise<Contact> {
  const { contact } = await openStored(keys, stream)
  return {
    name: currentValue(contact, "name"),
    email: currentValue(contact, "email"),
    phone: currentValue(contact, "phone"),
    paymentPageUrl: currentValue(contact, "paymentPageUrl"),
    country: currentValue(contact, "country"),
  }
}

/**
 * The value of the customer object; where it states none, a copy of a later event: invoices show addresses that no event of
 * the customer object reports. The newest fact decides in the same way whether there is an address, so that planned nudges
 * have one.
 */
function currentValue({ copies, ...own }: StoredContact, name: keyof Fields): string | null {
  const copy = copies?.[name]
  const stated = own[name]
  const isCopyNewer = stated !== undefined && copy !== undefined && positionOf(copy) > positionOf(stated)
  return stated?.value ?? (isCopyNewer ? copy.value : null)
}

/** Time and event id of a value, without its source. */
const positionOf = ({ asOf }: z.infer<typeof field>): string => asOf.slice(asOf.indexOf(" ") + 1)

/** What one event states about the contact; its time and id give a total order. */
export interface ContactUpdate {
  readonly change: ContactChange
  readonly occurredAt: Instant
  readonly eventId: string
}

/**
 * The stored contact with the updates merged in, sealed; each field keeps its newest value, so the order of arrival does not
 * matter. Null when nothing changed.
 */
export async function mergeContact(
  keys: KeyRing,
  stream: ContactHolder,
  updates: readonly ContactUpdate[],
): Promise<SealedContact | null> {
  if (updates.length === 0) return null
  const { contact, dataKey } = await openStored(keys, stream)
  const merged = updates.reduce(mergeContactUpdate, contact)
  if (JSON.stringify(merged) === JSON.stringify(contact)) return null
  const key = dataKey === null ? await newDataKey(keys, keyContext(stream)) : { key: dataKey, wrapped: null }
  const sealed = await sealJsonWith(key.key, contactContext(stream), merged)
  return { sealed, newWrappedKey: key.wrapped, indexes: await indexesOf(keys, stream.companyId, merged) }
}

/** The blind indexes of a stored contact. */
export async function indexContact(keys: KeyRing, stream: ContactHolder): Promise<ContactIndexes> {
  const { contact } = await openStored(keys, stream)
  return indexesOf(keys, stream.companyId, contact)
}

async function indexesOf(keys: KeyRing, companyId: string, contact: StoredContact): Promise<ContactIndexes> {
  const [addresses, names] = await Promise.all([
    addressIndexes(keys, companyId, { email: currentValue(contact, "email"), phone: currentValue(contact, "phone") }),
    nameIndexes(keys, companyId, currentValue(contact, "name")),
  ])
  return { addresses, names, version: keys.newestVersion }
}

function mergeContactUpdate(contact: StoredContact, { change, occurredAt, eventId }: ContactUpdate): StoredContact {
  const { isCopy = false, ...stated } = change
  const { copies = {}, ...own } = contact
  // "own" sorts after "copy": values of the customer object have priority; among equals the newest.
  const asOf = `${isCopy ? "copy" : "own"} ${occurredAt} ${eventId}`
  const merged = withNewer(own, stated, asOf)
  if (!isCopy) return { ...merged, ...(contact.copies && { copies }) }
  return { ...merged, copies: withNewer(copies, stated, asOf) }
}

/** The fields with the stated values, where these are the newest. */
function withNewer(known: Fields, stated: Omit<ContactChange, "isCopy">, asOf: string): Fields {
  const newer = Object.entries(stated).filter(
    ([name, value]) => value !== undefined && asOf > (known[name as keyof Fields]?.asOf ?? ""),
  )
  // In a fixed order, so that the same values always give the same JSON.
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
