/**
 * The blind index of an address: equal for equal addresses of a company, and meaningless without the key. Customers of a
 * company who have an index in common are one person.
 *
 * Every address has an index under each version of the key ring, so that customers who were indexed before and after a
 * rotation still match. The `sweep` job indexes customers again who lack the newest version.
 */
import { encodeList, toHex } from "../crypto/bytes.ts"
import type { KeyRing } from "../crypto/key-ring.ts"
import { emailIdentity, normalizePhone } from "./address.ts"

export type AddressKind = "email" | "phone"

/** One address of a customer under one version of the key. */
export interface AddressIndex {
  readonly kind: AddressKind
  /** HMAC-SHA256 in hexadecimal digits, behind the version of the key in two bytes. */
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
      indexes.push({ kind, index: await indexOf(keys, companyId, version, [kind, text]) })
  }
  return indexes
}

async function indexOf(
  keys: KeyRing,
  companyId: string,
  version: number,
  address: readonly [AddressKind, string],
): Promise<string> {
  const key = await keys.derive(version, "sign", ["address-index", companyId])
  if (key === null) throw new Error(`the key ring has no version ${version}`)
  const mac = await crypto.subtle.sign("HMAC", key, encodeList(address))
  return version.toString(16).padStart(4, "0") + toHex(new Uint8Array(mac))
}
