/** Random secrets that are shown once, and of which only the SHA-256 is stored. */
import { type Bytes, sha256, toBase64Url, utf8 } from "../../shared/crypto/bytes.ts"

/** 256 bits: such a secret cannot be guessed, so a plain hash of it is enough. */
const SECRET_BYTES = 32

/** A new secret, in base64url. */
export const randomSecret = (): string => toBase64Url(crypto.getRandomValues(new Uint8Array(SECRET_BYTES)))

/** What is stored of a token. */
export const hashOf = (token: string): Promise<Bytes> => sha256(utf8(token))

/** In place of a company's id in a token that belongs to none. No company's id has this character. */
const NONE = "~"
/** 32 bytes in base64url are 43 characters. */
const TOKEN = /^(~|[A-Za-z0-9_-]{1,64})\.[A-Za-z0-9_-]{43}$/

/** A new token that begins with its company, so that the database is asked within that company only. */
export const newToken = (companyId: string | null): string => `${companyId ?? NONE}.${randomSecret()}`

/** The company of a token (`companyId` null: an operator's); null when the text is no token. */
export function tokenCompany(token: string): { readonly companyId: string | null } | null {
  const [, company] = TOKEN.exec(token) ?? []
  return company === undefined ? null : { companyId: company === NONE ? null : company }
}
