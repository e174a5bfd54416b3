/**
 * The blind indexes of addresses: customers of a company who have one in common are one person.
 *
 * Every address has an index under each version of the key ring, so that customers who were indexed before and after a
 * rotation still match. The `sweep` job indexes customers again who lack the newest version.
 */
import type { KeyRing } from "../crypto/key-ring.ts"
import { emailIdentity, normalizePhone } from "./address.ts"
import { blindIndex } from "./blind-index.ts"

export type AddressKind = "email" | "phone"

/** One address of a customer under one version of the key. */
export interface AddressIndex {
  readonly kind: AddressKind
  readonly index: string
}

/** The addresses of a customer as received; null where there is none. */
export interface Addresses {
  readonly email: string | null
  readonly phone: string | null
}

/**
 * A form that is equal for all spellings of an address: e-mail in lower case with its domain in ASCII, phone numbers in
 * E.164 or, where the country is not known, as their digits. Dots and plus signs count, since only the mail host knows
 * whether a mailbox ignores them. Null when the text is no address.
 */
export function normalizedAddress(kind: AddressKind, address: string): string | null {
  if (kind === "email") return emailIdentity(address)
  const digits = address.replaceAll(/\D/g, "")
  return normalizePhone(address, []) ?? (isPlaceholder(digits) ? null : digits)
}

/** Numbers that people enter in forms for "none"; they must not join many customers into one person. */
const isPlaceholder = (digits: string): boolean =>
  digits.length < 8 || /^(\d)\1*$/.test(digits) || "012345678901234567890".includes(digits)

/** The indexes of a customer's addresses in this company, in a fixed order. */
export async function addressIndexes(
  keys: KeyRing,
  companyId: string,
  { email, phone }: Addresses,
): Promise<readonly AddressIndex[]> {
  const normalized = [
    { kind: "email", text: email === null ? null : normalizedAddress("email", email) },
    { kind: "phone", text: phone === null ? null : normalizedAddress("phone", phone) },
  ] as const
  const indexes: AddressIndex[] = []
  for (const { kind, text } of normalized) {
    if (text === null) continue
    for (const version of keys.versions)
      indexes.push({ kind, index: await blindIndex(keys, "address-index", companyId, version, [kind, text]) })
  }
  return indexes
}
