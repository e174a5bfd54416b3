/**
 * A company's branding: logo, colour, signature, reply address and postal address. Every save is a version. From the
 * deployment's own sender a company could impersonate another one by its logo, as by its name: there a version is used after
 * an operator has approved it.
 */
import { emailOf } from "./messages/clean.ts"
import { type Branding, LINE_CHARS_MAX, linesOf } from "./messages/look.ts"
import { holdsAddress } from "./templates/templates.ts"

/** A saved version. */
export interface BrandingVersion {
  readonly version: number
  readonly branding: Branding
  /** Saved or approved by an operator. */
  readonly isApproved: boolean
}

/** The newest version, and the newest that an operator has approved; null: there is none. */
export interface StoredBranding<Version extends BrandingVersion = BrandingVersion> {
  readonly newest: Version | null
  readonly approved: Version | null
}

/** The version that members see; null: none. Trusted is the default company, and one that sends from its own sender. */
export const shownBranding = <Version extends BrandingVersion>(
  { newest, approved }: StoredBranding<Version>,
  isTrusted: boolean,
): Version | null => (isTrusted ? newest : approved)

const LINES_MAX = 6
const CHARS_MAX = 400

/**
 * Why a signature or a postal address cannot be saved; null when it can. Mail programs make links of addresses, and a stolen
 * key could be used for phishing.
 */
export function linesFault(text: string): string | null {
  const lines = linesOf(text)
  if (lines.every((line) => line.trim() === "")) return "it is empty"
  if (text.length > CHARS_MAX) return `it is longer than ${CHARS_MAX} characters`
  if (lines.length > LINES_MAX) return `it has more than ${LINES_MAX} lines`
  if (lines.some((line) => line.length > LINE_CHARS_MAX)) return `a line is longer than ${LINE_CHARS_MAX} characters`
  if (lines.some((line) => /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(line))) return "expected plain text"
  return lines.some(holdsAddress) ? "it contains a link or an e-mail address" : null
}

/** Why a reply address cannot be saved; null when it can. */
export const replyToFault = (address: string): string | null =>
  emailOf(address) === null ? "expected an e-mail address" : null
