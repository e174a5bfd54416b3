/** Blind indexes of addresses, and persons: the customers of a company who share an address. */
import { type SQL, sql } from "drizzle-orm"
import type { AddressIndex } from "../../../shared/contact/address-index.ts"
import type { StoredBranding } from "../../../shared/domain/messaging/branding.ts"
import type { Template } from "../../../shared/domain/messaging/templates/templates.ts"
import type { Person, SharedCustomer } from "../../../shared/domain/recovery/nudges/contact-context.ts"
import { EMPTY_STATE } from "../../../shared/domain/state.ts"
import { type Db, inCompany } from "../../client.ts"
import { brandingFrom, brandingStatement } from "../messaging/branding.ts"
import { approvedFrom, approvedStatement } from "../messaging/brands.ts"
import { templatesFrom, templatesStatement } from "../messaging/templates.ts"
import { textArray } from "../platform/companies.ts"
import { instantOf } from "../platform/fact-json.ts"
import { bytesFromBase64 } from "../platform/parameters.ts"
import { readWhole, type Stream, type StreamReading } from "./ledger-pages.ts"
import { streamFrom, streamStatement } from "./stream.ts"

/** The blind indexes of a contact, and the newest version of their key. */
export interface ContactIndexes {
  readonly addresses: readonly AddressIndex[]
  /** Of the words of the name. */
  readonly names: readonly string[]
  readonly version: number
}

const kindsOf = (indexes: readonly AddressIndex[]) => textArray(indexes.map(({ kind }) => kind))
const valuesOf = (indexes: readonly AddressIndex[]) => textArray(indexes.map(({ index }) => index))

/** A person as read; `mark` changes when the person does. */
export interface PersonVersion extends Person {
  readonly mark: string
}

/** A customer's person, and the company's names and words for messages. */
interface WithPerson {
  readonly person: PersonVersion
  /** Names that an operator has approved for the company, the latest first. */
  readonly approvedBrands: readonly string[]
  /** The company's message templates that are in force. */
  readonly templates: readonly Template[]
  readonly branding: StoredBranding
}

/** The first reading of a customer's stream, with the person. */
export type PersonReading = StreamReading & WithPerson

/** A customer's stream with the person. */
export type PersonStream = Stream & WithPerson

/** A person as `read_person` returns it. */
export interface PersonJson {
  readonly mark: string
  readonly isOptedOut: boolean
  readonly quarantinedUntil: string | null
  readonly others: readonly (Omit<SharedCustomer, "state"> & { readonly state: SharedCustomer["state"] | null })[]
}

interface PersonRow extends Record<string, unknown> {
  readonly person: PersonJson | null
}

const MESSAGE_HISTORY_MS = 400 * 86_400_000

/** Older messages are not read: no rule uses them. */
export const messagesSince = (now: Date): string => new Date(now.getTime() - MESSAGE_HISTORY_MS).toISOString()

/** Statement: the other customers who share an address with this one; `personFrom` reads its result. */
const personStatement = (db: Db, customerId: string | SQL, now: Date) =>
  db.execute<PersonRow>(sql`select read_person(${customerId}, ${messagesSince(now)}) as person`)

/** The person that `read_person` returned. */
export function personFrom(person: PersonJson | null | undefined): PersonVersion {
  if (!person) throw new Error("read_person returned nothing")
  const others = person.others.map(({ customerId, state, nudges }) => ({
    customerId,
    state: state ?? EMPTY_STATE,
    nudges: nudges.map((nudge) => ({
      ...nudge,
      dueAt: new Date(nudge.dueAt).toISOString(),
      sentAt: nudge.sentAt === null ? null : new Date(nudge.sentAt).toISOString(),
    })),
  }))
  const { mark, isOptedOut, quarantinedUntil: until } = person
  return { mark, isOptedOut, quarantinedUntil: until === null ? null : instantOf(until), others }
}

/** The whole stream of a customer, with the person; null when there is no such customer. */
export const loadPersonStream = (
  db: Db,
  companyId: string,
  customerId: string,
  now: Date,
): Promise<PersonStream | null> => readWhole(db, () => startPersonStream(db, companyId, customerId, now))

/** The first reading of a customer's stream, with the person, in one round trip. */
export async function startPersonStream(
  db: Db,
  companyId: string,
  customerId: string,
  now: Date,
): Promise<PersonReading | null> {
  const results = await inCompany(db, companyId, personStreamStatements(db, customerId, now))
  return personReadingFrom(companyId, results)
}

/** Statements of `startPersonStream`, for a batch; `personReadingFrom` reads their results. */
export const personStreamStatements = (db: Db, customerId: string | SQL, now: Date) =>
  [
    streamStatement(db, customerId, { whole: true }),
    personStatement(db, customerId, now),
    approvedStatement(db),
    templatesStatement(db),
    brandingStatement(db),
  ] as const

type ResultsOf<T extends readonly unknown[]> = { readonly [Place in keyof T]: Awaited<T[Place]> }
type PersonStreamResults = ResultsOf<ReturnType<typeof personStreamStatements>>

/** The reading of these results; null when there is no such customer. */
export function personReadingFrom(
  companyId: string,
  [stream, person, approved, templates, branding]: PersonStreamResults,
): PersonReading | null {
  const read = streamFrom(companyId, stream)
  if (read === null) return null
  const company = {
    approvedBrands: approvedFrom(approved),
    templates: templatesFrom(templates),
    branding: brandingFrom(branding),
  }
  return { ...read, person: personFrom(person.rows[0]?.person), ...company }
}

/** Customers of all companies whose addresses or names are not indexed with this version of the key. */
export async function loadContactsToIndex(
  db: Db,
  version: number,
  limit: number,
): Promise<readonly { readonly companyId: string; readonly customerId: string }[]> {
  const result = await db.execute<{ company_id: string; customer_id: string }>(
    sql`select company_id, customer_id from contacts_to_index(${version}, ${limit})`,
  )
  return result.rows.map((row) => ({ companyId: row.company_id, customerId: row.customer_id }))
}

/** A stored contact. */
export interface StoredContact {
  readonly customerId: string
  readonly sealed: Uint8Array
  readonly wrappedDataKey: Uint8Array
}

/** The stored contacts of some customers of a company. */
export async function loadContacts(
  db: Db,
  companyId: string,
  customerIds: readonly string[],
): Promise<readonly StoredContact[]> {
  const [result] = await inCompany(db, companyId, [
    db.execute<{ customer_id: string; sealed: string; wrapped: string }>(
      sql`select p.customer_id, encode(p.sealed, 'base64') as sealed, encode(k.wrapped, 'base64') as wrapped
        from customer_pii p join customer_keys k on k.company_id = p.company_id and k.customer_id = p.customer_id
        where p.company_id = app_company() and p.customer_id = any (${textArray(customerIds)})`,
    ),
  ])
  return result.rows.map((row) => ({
    customerId: row.customer_id,
    sealed: bytesFromBase64(row.sealed),
    wrappedDataKey: bytesFromBase64(row.wrapped),
  }))
}

/** Indexes stored contacts, except those that changed since they were read. One round trip. */
export async function indexContacts(
  db: Db,
  companyId: string,
  contacts: readonly (ContactIndexes & { readonly customerId: string; readonly sealedSha256: string })[],
): Promise<void> {
  await inCompany(
    db,
    companyId,
    contacts.map(({ customerId, sealedSha256, addresses, names, version }) =>
      db.execute(
        sql`select index_contact(${customerId}, ${sealedSha256}, ${kindsOf(addresses)}, ${valuesOf(addresses)}, ${version}),
          index_names(${customerId}, ${sealedSha256}, ${textArray(names)}, ${version})`,
      ),
    ),
  )
}
