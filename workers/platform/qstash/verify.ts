/**
 * Verifies that a request was sent by QStash, for this URL and with this body. The package's receiver checks the
 * signature, the issuer, the URL and the hash of the body. It also accepts other algorithms, signatures without expiry
 * or of any lifetime, and reads the platform's clock, so the rest is checked here: only exactly what QStash documents
 * is accepted (https://upstash.com/docs/qstash/howto/signature).
 */
import { Receiver } from "@upstash/qstash"
import { areEqual, fromBase64Url, fromUtf8, sha256 } from "../../../shared/crypto/bytes.ts"
import { err, ok, type Result } from "../../../shared/result.ts"

/** Why a request is refused; for the log, not for the caller. */
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

/** The content of a verified signature. `tokenId` is the same when the same signature is sent again. */
export interface QstashSignature {
  readonly tokenId: string
  readonly issuedAt: Date
  /** `next` while the keys are being rotated. */
  readonly key: "current" | "next"
}

/** A received request, and the keys it may be signed with. */
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
/** How far our clock may be behind QStash's. */
const SKEW_SECONDS = 5
/** QStash's have fewer than 600 characters. */
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

/** The content of the signature if it is QStash's, currently valid, and for this URL and body. Never throws. */
export async function verifyQstashSignature(
  request: SignedRequest,
): Promise<Result<QstashSignature, QstashVerifyError>> {
  const { signature } = request
  if (signature === null || signature === "") return err({ reason: "signature_missing" })
  const parts = signature.length <= SIGNATURE_CHARS_MAX ? signature.split(".") : []
  const [header, payload, mac] = parts.map(fromBase64Url)
  if (!header || !payload || !mac || parts.length !== 3) return err({ reason: "signature_malformed" })
  if (!isHs256(parseObject(header))) return err({ reason: "algorithm_not_accepted" })

  const key = await signingKeyOf(request, signature)
  const claims = readClaims(parseObject(payload))
  if (!claims) return err({ reason: "claim_missing" })
  // Checked before the key: for an unsigned token the reason is only a hint for the log.
  const refused = refuseClaims(claims, request) ?? ((await isHashOf(claims, request)) ? null : "body_mismatch")
  if (refused !== null) return err({ reason: refused })
  if (key === null) return err({ reason: "signature_mismatch" })
  return ok({ tokenId: claims.jti, issuedAt: new Date(claims.iat * 1_000), key })
}

async function isHashOf({ body: claimed }: Claims, { body }: SignedRequest): Promise<boolean> {
  // QStash writes the hash with RFC 4648 padding, which our decoder does not accept.
  const hash = fromBase64Url(claimed.replace(/={0,2}$/, ""))
  return hash !== null && areEqual(hash, await sha256(body))
}

/**
 * Exactly HS256. Members that would choose a key (`kid`, `jwk`, `jku`, `x5u`, …) are ignored; `crit` must be understood
 * or refused (RFC 7515, section 4.1.11).
 */
function isHs256(header: Readonly<Record<string, unknown>> | null): boolean {
  return header?.alg === "HS256" && (header.typ === undefined || header.typ === "JWT") && !Object.hasOwn(header, "crit")
}

async function signingKeyOf(request: SignedRequest, signature: string): Promise<QstashSignature["key"] | null> {
  if (await isSignedWith(request.currentSigningKey, request, signature)) return "current"
  return (await isSignedWith(request.nextSigningKey, request, signature)) ? "next" : null
}

/** `refuseClaims` checks the times with our clock, which the package cannot be given. */
const ANY_TIME_SECONDS = Number.POSITIVE_INFINITY

/** Without a key the receiver would read one from the environment, and anybody can sign with an empty one. */
async function isSignedWith(secret: string, { body, url }: SignedRequest, signature: string): Promise<boolean> {
  if (secret === "") return false
  const receiver = new Receiver({ currentSigningKey: secret, nextSigningKey: secret, devMode: false })
  try {
    return await receiver.verify({ signature, body: fromUtf8(body), url, clockTolerance: ANY_TIME_SECONDS })
  } catch {
    return false // it throws for any refusal, and for bodies that are not text
  }
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
