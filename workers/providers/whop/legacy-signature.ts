/**
 * The signature of Whop's webhooks before they adopted Standard Webhooks: `X-Whop-Signature: t=…,v1=…`, v1 being the hex
 * HMAC-SHA256 of `${t}.${body}` under the UTF-8 bytes of the secret (package `@whop/api` 0.0.51, `makeWebhookValidator`).
 * Older endpoints may still receive it. Stricter than that package, which accepts `t=123abc` and compares with `!==`.
 */
import type { VerifyError } from "../../../shared/provider.ts"
import { err, ok, type Result } from "../../../shared/result.ts"
import { decodeHex } from "../signature.ts"

/** The parsed header: when it was signed, and the signature. */
export interface LegacySignature {
  readonly timestamp: string
  readonly signature: Uint8Array
}

/** Parses the header: exactly one `t` and one `v1`, in this order. A header that was sent twice is rejected. */
export function parseLegacySignature(value: string): Result<LegacySignature, VerifyError> {
  const [, timestamp, hex] = /^t=([0-9]{10}),v1=([0-9a-f]{64})$/.exec(value) ?? []
  const signature = hex === undefined ? null : decodeHex(hex)
  if (timestamp === undefined || signature === null) {
    return err({ reason: "signature_malformed", detail: "x-whop-signature is not t=…,v1=…" })
  }
  return ok({ timestamp, signature })
}
