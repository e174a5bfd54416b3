/**
 * Proves that a request was sent by QStash, for this URL and with this body. The SDK's receiver accepts other algorithms,
 * signatures without expiry and, unless told the URL, those of any other job; this one takes nothing that is not exactly
 * what QStash documents (https://upstash.com/docs/qstash/howto/signature).
 */
import { areEqual, fromBase64Url, fromUtf8, sha256, utf8 } from "../../shared/crypto/bytes.ts"
import { err, ok, type Result } from "../../shared/result.ts"

/** Why a request is not believed. The caller is told none of it. */
export type QstashVerifyError = {
  readonly reason:
    | "signature_missing"
    | "signature_malformed"
    | "algorithm_not_accepted"
    | "signature_mismatch"
    | "claim_missing"
    | "issuer_mismatch"
    | "url_mismatch"
    | "lifetime_too_long"
    | "not_yet_valid"
    | "expired"
    | "body_mismatch"
}

/** What a believed signature says. `tokenId` is the same whenever the same signature is shown again. */
export interface QstashSignature {
  readonly tokenId: string
  readonly issuedAt: Date
  /** `next` while the keys are being rotated. */
  readonly key: "current" | "next"
}

/** A request as it came, and the keys it may be signed with. */
export interface SignedRequest {
  /** The `Upstash-Signature` header. */
  readonly signature: string | null
  readonly body: Uint8Array
  /** The URL that was published, character for character. */
  readonly url: string
  readonly currentSigningKey: string
  readonly nextSigningKey: string
  readonly now: Date
}

/** QStash signs for five minutes. */
const LIFETIME_SECONDS_MAX = 300
/** How far our clock may be behind theirs. */
const SKEW_SECONDS = 5
/** Theirs are below 600 characters. */
const SIGNATURE_CHARS_MAX = 4_096

interface Claims {
  readonly iss: string
  readonly sub: string
  readonly exp: number
  readonly nbf: number
  readonly iat: number
  readonly jti: string
  readonly body: string
}

/** What the signature says when it is QStash's, of now, for this URL and body. Total: whatever comes, it does not throw. */
export async function verifyQstashSignature(
  request: SignedRequest,
): Promise<Result<QstashSignature, QstashVerifyError>> {
  const { signature } = request
  if (signature === null || signature === "") return err({ reason: "signature_missing" })
  const parts = signature.length <= SIGNATURE_CHARS_MAX ? signature.split(".") : []
  const [header, payload, mac] = parts.map(fromBase64Url)
  if (!header || !payload || !mac || parts.length !== 3) return err({ reason: "signature_malformed" })
  if (!isHs256(parseObject(header))) return err({ reason: "algorithm_not_accepted" })

  const key = await keyThatSigned(request, utf8(signature.slice(0, signature.lastIndexOf("."))), mac)
  if (key === null) return err({ reason: "signature_mismatch" })

  const claims = readClaims(parseObject(payload))
  if (!claims) return err({ reason: "claim_missing" })
  const refused = refuseClaims(claims, request)
  if (refused !== null) return err({ reason: refused })
  // RFC 4648 padding is ours to ignore: QStash writes the hash with it.
  const hash = fromBase64Url(claims.body.replace(/={0,2}$/, ""))
  if (!hash || !areEqual(hash, await sha256(request.body))) return err({ reason: "body_mismatch" })
  return ok({ tokenId: claims.jti, issuedAt: new Date(claims.iat * 1_000), key })
}

/**
 * Exactly HS256. Members that would choose a key (`kid`, `jwk`, `jku`, `x5u`, …) mean nothing here; `crit` demands to be
 * understood or refused (RFC 7515, section 4.1.11).
 */
function isHs256(header: Readonly<Record<string, unknown>> | null): boolean {
  return header?.alg === "HS256" && (header.typ === undefined || header.typ === "JWT") && !Object.hasOwn(header, "crit")
}

async function keyThatSigned(
  { currentSigningKey, nextSigningKey }: SignedRequest,
  content: Uint8Array<ArrayBuffer>,
  mac: Uint8Array<ArrayBuffer>,
): Promise<QstashSignature["key"] | null> {
  const byCurrent = await isSignedWith(currentSigningKey, content, mac)
  const byNext = await isSignedWith(nextSigningKey, content, mac)
  if (byCurrent) return "current"
  return byNext ? "next" : null
}

/** An empty key signs nothing: workerd throws at it, and elsewhere anybody could sign with it. */
async function isSignedWith(
  secret: string,
  content: Uint8Array<ArrayBuffer>,
  mac: Uint8Array<ArrayBuffer>,
): Promise<boolean> {
  if (secret === "") return false
  const hmac = { name: "HMAC", hash: "SHA-256" }
  const key = await crypto.subtle.importKey("raw", utf8(secret), hmac, false, ["verify"])
  return crypto.subtle.verify("HMAC", key, mac, content)
}

function refuseClaims(claims: Claims, { url, now }: SignedRequest): QstashVerifyError["reason"] | null {
  const nowSeconds = now.getTime() / 1_000
  if (claims.iss !== "Upstash") return "issuer_mismatch"
  if (claims.sub !== url) return "url_mismatch"
  if (claims.exp - claims.iat > LIFETIME_SECONDS_MAX || claims.exp - claims.nbf > LIFETIME_SECONDS_MAX) {
    return "lifetime_too_long"
  }
  if (Math.max(claims.nbf, claims.iat) > nowSeconds + SKEW_SECONDS) return "not_yet_valid"
  if (!(nowSeconds < claims.exp)) return "expired"
  return null
}

function readClaims(payload: Readonly<Record<string, unknown>> | null): Claims | null {
  const { iss, sub, exp, nbf, iat, jti, body } = payload ?? {}
  if (!isText(iss) || !isText(sub) || !isText(jti) || !isText(body)) return null
  if (!isSeconds(exp) || !isSeconds(nbf) || !isSeconds(iat)) return null
  return { iss, sub, exp, nbf, iat, jti, body }
}

const isText = (value: unknown): value is string => typeof value === "string" && value !== ""
const isSeconds = (value: unknown): value is number => Number.isSafeInteger(value)

function parseObject(bytes: Uint8Array): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(fromUtf8(bytes))
    return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : null
  } catch {
    return null
  }
}
