/**
 * Normalizes addresses of members for sending and comparing: e-mail with its domain in ASCII, phone numbers in E.164. A
 * text that cannot be normalized is no address.
 */
import { getCountries, parsePhoneNumberFromString } from "libphonenumber-js/core"
import metadata from "libphonenumber-js/min/metadata"

/** RFC 5321, 4.5.3.1.3. */
const EMAIL_MAX = 254
/** RFC 5321, 4.5.3.1.1. */
const LOCAL_PART_BYTES_MAX = 64
/** RFC 1035, 2.3.4: no label is longer. */
const LABEL_MAX = 63
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?$/
/** ITU E.164: a plus sign and at most 15 digits, the first of which is not zero. */
export const E164 = /^\+[1-9]\d{6,14}$/
/** Longer than any way of writing a number; E.164 itself has 15 digits. */
const PHONE_TEXT_MAX = 50

/** One local part, with nothing that could add a header or a second recipient. */
const LOCAL_PART = /^[^\s@<>(),;:"\\[\]\p{C}]+$/u

/**
 * The address with its domain in ASCII (punycode, lower case) and its local part unchanged; null when it is no address.
 * SendGrid, like most mail software, accepts only ASCII domains.
 */
export function normalizeEmail(address: string): string | null {
  const text = address.trim()
  const at = text.lastIndexOf("@")
  const local = text.slice(0, Math.max(at, 0))
  if (!LOCAL_PART.test(local) || new TextEncoder().encode(local).length > LOCAL_PART_BYTES_MAX) return null
  const domain = asciiDomain(text.slice(at + 1))
  if (domain === null || local.length + 1 + domain.length > EMAIL_MAX) return null
  return `${local}@${domain}`
}

/**
 * A form that is equal for all spellings of a mailbox, for comparing only: no mail host in use distinguishes local parts by
 * case. Null when it is no address.
 */
export function emailIdentity(address: string): string | null {
  return normalizeEmail(address)?.normalize("NFC").toLowerCase() ?? null
}

/** The domain as in DNS, by the URL standard's rules for hosts (UTS 46); null when it cannot be a mail domain. */
function asciiDomain(domain: string): string | null {
  // The host parser also decodes percent signs and cuts ports and paths off, which a domain does not have.
  if (domain === "" || /[\s\p{C}%:/?#@\\[\]<>(),;"^|`{}]/u.test(domain.replaceAll(/[\u200c\u200d]/g, ""))) return null
  const url = URL.parse(`https://${domain}`)
  if (url === null) return null
  const labels = url.hostname.split(".")
  const isName = labels.length > 1 && labels.every((label) => LABEL.test(label) && label.length <= LABEL_MAX)
  // A host that ends in a number is an IPv4 address to the URL standard.
  return isName && !/^\d+$/.test(labels.at(-1) ?? "") ? url.hostname : null
}

/**
 * The number in E.164; null when no message can be sent to it. `countries` (ISO 3166-1 alpha-2, best first; other values
 * are skipped) complete a number without country code; with none the result is null, since a guess could reach somebody
 * else.
 */
export function normalizePhone(phone: string, countries: readonly (string | null | undefined)[]): string | null {
  if (phone.length > PHONE_TEXT_MAX) return null
  const codes = getCountries(metadata)
  const country = countries
    .map((code) => codes.find((known) => known === code?.trim().toUpperCase()))
    .find((code) => code !== undefined)
  // `isPossible` checks only the length: only the network knows whether a number is in use.
  const parsed = parsePhoneNumberFromString(
    phone.trim().replace(/^tel:/i, ""),
    { ...(country !== undefined && { defaultCountry: country }), extract: false },
    metadata,
  )
  if (parsed?.isPossible() !== true || parsed.ext !== undefined) return null
  // People enter "0000000000" and the like in forms for "none".
  return /^(\d)\1*$/.test(parsed.nationalNumber) || !E164.test(parsed.number) ? null : parsed.number
}
