import { createHash, createHmac, randomUUID } from "node:crypto"

/** How long a signature is valid. */
const VALID_SECONDS = 300

/**
 * The `Upstash-Signature` of one delivery: a JWT (HS256) over the exact destination URL and the hash of the exact body.
 * Receivers allow no clock skew, so times are rounded down to whole seconds.
 */
export function signDelivery({
  url,
  body,
  key,
  now,
}: {
  readonly url: string
  readonly body: Buffer
  readonly key: string
  readonly now: Date
}): string {
  const nowSeconds = Math.floor(now.getTime() / 1_000)
  const claims = {
    iss: "Upstash",
    sub: url,
    exp: nowSeconds + VALID_SECONDS,
    nbf: nowSeconds,
    iat: nowSeconds,
    jti: `jwt_${randomUUID().replaceAll("-", "")}`,
    body: createHash("sha256").update(body).digest("base64url"),
  }
  const content = `${encode({ alg: "HS256", typ: "JWT" })}.${encode(claims)}`
  return `${content}.${createHmac("sha256", key).update(content).digest("base64url")}`
}

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url")
