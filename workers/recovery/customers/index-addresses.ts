/** Indexes the addresses and names of contacts that were stored before these indexes existed, or with an older key. */
import { indexContacts, loadContacts, loadContactsToIndex } from "../../../db/queries/recovery/persons.ts"
import { sha256, toHex } from "../../../shared/crypto/bytes.ts"
import type { Services } from "../../platform/services.ts"
import { indexContact } from "./customer-contact.ts"

/** Contacts per run: each needs a key to be unwrapped and some hashes, and a run must end well before the next. */
const CONTACTS_PER_RUN_MAX = 500
/** Statements per round trip. */
const CONTACTS_PER_BATCH = 100

/** One query for the remaining contacts, and two calls per batch of a company. */
const INDEX_FIRST_SUBREQUESTS = 1
const INDEX_BATCH_SUBREQUESTS = 2

/** Indexes some contacts and returns their number. One that cannot be opened is logged, and tried again by the next run. */
export async function indexAddresses(
  services: Services,
  hasBudget: (subrequests: number) => Promise<boolean>,
): Promise<number> {
  const { config, db } = services
  const keys = config.keys.encryption
  if (!(await hasBudget(INDEX_FIRST_SUBREQUESTS))) return 0
  const waiting = await loadContactsToIndex(db, keys.newestVersion, CONTACTS_PER_RUN_MAX)
  let indexed = 0
  for (const [companyId, ofCompany] of Map.groupBy(waiting, (contact) => contact.companyId)) {
    for (let from = 0; from < ofCompany.length; from += CONTACTS_PER_BATCH) {
      if (!(await hasBudget(INDEX_BATCH_SUBREQUESTS))) return indexed
      const ids = ofCompany.slice(from, from + CONTACTS_PER_BATCH).map(({ customerId }) => customerId)
      indexed += await indexBatch(services, companyId, ids)
    }
  }
  return indexed
}

async function indexBatch(services: Services, companyId: string, customerIds: readonly string[]): Promise<number> {
  const { config, db, log } = services
  const stored = await loadContacts(db, companyId, customerIds)
  const opened = await Promise.all(
    stored.map(async ({ customerId, sealed, wrappedDataKey }) => {
      try {
        const holder = { companyId, customer: { id: customerId }, sealedContact: sealed, wrappedDataKey }
        const indexes = await indexContact(config.keys.encryption, holder)
        return [{ customerId, sealedSha256: toHex(await sha256(sealed)), ...indexes }]
      } catch (error) {
        log.error("contact_decrypt_failed", { companyId, customerId, error })
        return []
      }
    }),
  )
  const contacts = opened.flat()
  if (contacts.length > 0) await indexContacts(db, companyId, contacts)
  return contacts.length
}
