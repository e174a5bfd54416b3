/**
 * Tokens in links to members (`/r/:token`, `/unsubscribe/:token`, `/thanks/:token`). They identify customer, case and nudge, are signed,
 * and contain no personal data. Each purpose has its own key, so that a link to a payment page can never unsubscribe
 * anybody.
 *
 * base64url of: format (1 byte), key version (2), expiry in Unix seconds (5), four ids, each after its length (1 byte
 * in format 1, 2 bytes in format 2, which is used only for long ids), HMAC-SHA256 of all before (32). An empty nudge id
 * means no nudge.
 */
import { type Bytes, concat, fromBase64Url, fromUtf8, toBase64Url, utf8 } from "./crypto/bytes.ts"
import type { KeyRing } from "./crypto/key-ring.ts"
import { err, ok, type Result } from "./result.ts"

export type TokenPurpose = "link" | "unsubscribe" | "thanks"

/** The content of a token. Ids are ours, of at most 900 bytes. */
export interface TokenClaims {
  readonly companyId: string
  readonly customerId: string
  readonly caseId: string
  readonly nudgeId: string | null
  /** Unix seconds; the token is refused from this second on. */
  readonly expiresAtSeconds: number
}

/** Why a token is refused. `bad_signature` includes another purpose and a retired key. */
export type TokenError = { readonly reason: "malformed" | "bad_signature" | "expired" }

/** The number of bytes of an id's length, by format. */
const LENGTH_BYTES: ReadonlyMap<number, number> = new Map([
  [1, 1],
  [2, 2],
])
const SHORT_BYTES_MAX = 255
const HEADER_BYTES = 8
const MAC_BYTES = 32
/** Providers' ids have up to 255 characters of three bytes, and ours add a few words. */
const ID_BYTES_MAX = 900

/** Replaces the case id at the beginning of a nudge id. Our ids have no control characters. */
const OF_CASE = "\u0001"
/** Four ids of full length fit; anything longer is refused unread. */
const TOKEN_CHARS_MAX = 4_900

/** Signs claims with the newest key. Throws RangeError for ids that are empty, too long or not well-formed text. */
export async function signToken(
  keys: KeyRing,
  { purpose, ...claims }: TokenClaims & { readonly purpose: TokenPurpose },
): Promise<string> {
  const { version, key } = await keys.deriveNewest("sign", ["member-token", purpose])
  const content = encodeClaims(version, claims)
  return toBase64Url(concat(content, new Uint8Array(await crypto.subtle.sign("HMAC", key, content))))
}

/** The claims of a token that we signed for this purpose and that has not expired. Never throws. */
export async function verifyToken(
  keys: KeyRing,
  purpose: TokenPurpose,
  token: string,
  now: Date,
): Promise<Result<TokenClaims, TokenError>> {
  const bytes = token.length <= TOKEN_CHARS_MAX ? fromBase64Url(token) : null
  if (!bytes || bytes.length < HEADER_BYTES + MAC_BYTES || !LENGTH_BYTES.has(bytes[0] ?? 0))
    return err({ reason: "malformed" })
  const content = bytes.slice(0, -MAC_BYTES)
  const version = new DataView(content.buffer).getUint16(1)
  const key = await keys.derive(version, "sign", ["member-token", purpose])
  // `verify` compares in constant time.
  const isOurs = key !== null && (await crypto.subtle.verify("HMAC", key, bytes.slice(-MAC_BYTES), content))
  if (!isOurs) return err({ reason: "bad_signature" })
  const claims = decodeClaims(content)
  if (!claims) return err({ reason: "malformed" })
  if (now.getTime() >= claims.expiresAtSeconds * 1_000) return err({ reason: "expired" })
  return ok(claims)
}

function encodeClaims(version: number, claims: TokenClaims): Bytes {
  const { expiresAtSeconds } = claims
  if (!Number.isInteger(expiresAtSeconds) || expiresAtSeconds < 0 || expiresAtSeconds >= 2 ** 40) {
    throw new RangeError("a token expires at a whole second")
  }
  const ids = [claims.companyId, claims.customerId, claims.caseId].map(bytesOfId)
  ids.push(claims.nudgeId === null ? new Uint8Array(0) : bytesOfId(shortNudgeId(claims)))
  const format = ids.some((id) => id.length > SHORT_BYTES_MAX) ? 2 : 1
  const header = new Uint8Array(HEADER_BYTES)
  const view = new DataView(header.buffer)
  view.setUint8(0, format)
  view.setUint16(1, version)
  view.setUint8(3, Math.floor(expiresAtSeconds / 2 ** 32))
  view.setUint32(4, expiresAtSeconds % 2 ** 32)
  const lengthOf = ({ length }: Bytes) =>
    format === 1 ? Uint8Array.of(length) : Uint8Array.of(Math.floor(length / 256), length % 256)
  return concat(header, ...ids.flatMap((id) => [lengthOf(id), id]))
}

/** A nudge id begins with its case id, which is not repeated in a link: a text message is short. */
const shortNudgeId = ({ caseId, nudgeId }: TokenClaims): string =>
  nudgeId?.startsWith(`${caseId}.`) ? `${OF_CASE}${nudgeId.slice(caseId.length)}` : (nudgeId ?? "")

function bytesOfId(id: string): Bytes {
  const bytes = utf8(id)
  if (bytes.length === 0 || bytes.length > ID_BYTES_MAX || fromUtf8(bytes) !== id) {
    throw new RangeError(`a token holds ids of 1 to ${ID_BYTES_MAX} bytes`)
  }
  return bytes
}

/** Null only if the key signed something else: our own tokens can be decoded. */
function decodeClaims(content: Bytes): TokenClaims | null {
  const view = new DataView(content.buffer)
  const lengthBytes = LENGTH_BYTES.get(view.getUint8(0)) ?? 1
  const ids: string[] = []
  let offset = HEADER_BYTES
  while (offset < content.length) {
    const start = offset + lengthBytes
    if (start > content.length) return null
    const end = start + (lengthBytes === 1 ? view.getUint8(offset) : view.getUint16(offset))
    if (end > content.length) return null
    ids.push(fromUtf8(content.subarray(start, end)))
    offset = end
  }
  const [companyId, customerId, caseId, shortId] = ids
  const nudgeId = shortId?.startsWith(OF_CASE) ? `${caseId}${shortId.slice(1)}` : shortId
  if (!companyId || !customerId || !caseId || nudgeId === undefined || ids.length !== 4) return null
  const expiresAtSeconds = view.getUint8(3) * 2 ** 32 + view.getUint32(4)
  return { companyId, customerId, caseId, nudgeId: nudgeId || null, expiresAtSeconds }
}
