/**
 * Stripe's webhook signature, checked over the raw bytes: `t=…,v1=…[,v1=…]`, v1 being the hex HMAC-SHA256 of
 * `${t}.${body}` under the whole secret, `whsec_` included (docs.stripe.com/webhooks/signature). Stricter than the
 * package `stripe` 23.1.0, which lets timestamps of the future, `t=123abc` and bytes that decode alike pass.
 */

import { areEqual } from "../../../shared/crypto/bytes.ts"
import {
  type RawDelivery,
  TIMESTAMP_TOLERANCE_SECONDS,
  type Verified,
  type VerifyError,
} from "../../../shared/provider.ts"
import { err, ok, type Result } from "../../../shared/result.ts"
import { decodeHex, hmacSha256, joinBytes } from "../signature.ts"

/** Stripe sends one v1 per active secret, and a v0 in test mode; more than this is an attempt to waste our CPU time. */
const ENTRIES_MAX = 16
const HEADER_LENGTH_MAX = 4096

/** SHA-256. */
const SIGNATURE_BYTES = 32

interface SignatureHeader {
  readonly timestamp: string
  readonly signatures: readonly Uint8Array[]
}

/** Which of the secrets signed exactly these bytes within the last (or next) five minutes. Never throws. */
export async function verify(delivery: RawDelivery): Promise<Result<Verified, VerifyError>> {
  const value = delivery.headers.get("stripe-signature")
  if (value === null || value === "") return err({ reason: "signature_missing" })

  const header = parseHeader(value)
  if (!header.ok) return header
  const { timestamp, signatures } = header.value

  // Stripe signs whole seconds, so whole seconds are compared. A clock that gives NaN must reject, not accept.
  const nowMs = delivery.now.getTime()
  const ageSeconds = Math.floor(nowMs / 1000) - Number(timestamp)
  if (!(Math.abs(ageSeconds) <= TIMESTAMP_TOLERANCE_SECONDS)) {
    return err({ reason: "timestamp_out_of_range", ageMs: nowMs - Number(timestamp) * 1000 })
  }

  const message = joinBytes(timestamp, ".", delivery.rawBody)
  let secretIndex = -1
  // No early exit: the time taken must not reveal which secret, or which signature, was the right one.
  for (const [index, secret] of delivery.secrets.entries()) {
    if (secret.trim() === "") continue // a secret that was never set must not become the empty key
    const expected = await hmacSha256(joinBytes(secret), message)
    for (const signature of signatures) {
      if (areEqual(expected, signature) && secretIndex === -1) secretIndex = index
    }
  }
  return secretIndex === -1 ? err({ reason: "signature_mismatch" }) : ok({ secretIndex, scheme: "v1" })
}

function parseHeader(value: string): Result<SignatureHeader, VerifyError> {
  if (value.length > HEADER_LENGTH_MAX) return malformed("header too long")
  const entries = value.split(",", ENTRIES_MAX + 1)
  if (entries.length > ENTRIES_MAX) return malformed("too many entries")

  const timestamps: string[] = []
  const signatures: Uint8Array[] = []
  for (const entry of entries) {
    // A header that was sent twice is received joined by ", ": its second half starts with a space and is rejected here.
    const [, scheme, text] = /^([A-Za-z0-9_]{1,32})=([\x21-\x7e]+)$/.exec(entry) ?? []
    if (scheme === undefined || text === undefined) return malformed("entry is not scheme=value")
    if (scheme === "t") timestamps.push(text)
    if (scheme === "v1") {
      const signature = decodeHex(text)
      if (signature?.length === SIGNATURE_BYTES) signatures.push(signature)
    }
  }

  const [timestamp] = timestamps
  if (timestamp === undefined) return malformed("no timestamp")
  if (timestamps.length > 1) return malformed("more than one timestamp")
  if (!/^[0-9]{10}$/.test(timestamp)) return malformed("timestamp is not ten digits")
  return ok({ timestamp, signatures })
}

const malformed = (detail: string): Result<never, VerifyError> => err({ reason: "signature_malformed", detail })
