import { createHash, createHmac } from "node:crypto"
import { Receiver } from "@upstash/qstash"
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { anyString } from "../../../test/support/any-string.ts"
import { verifyQstashSignature } from "./verify.ts"

const URL_OF_JOB = "https://churn.example.com/jobs/send-nudge"
const CURRENT = "sig_current_key_of_the_tests_0001"
const NEXT = "sig_next_key_of_the_tests_0000002"
const BODY = Buffer.from('{"nudgeId":"n_1"}')
/** The SDK's receiver reads the real clock, so all times here are near it. */
const NOW = new Date()
const NOW_SECONDS = Math.floor(NOW.getTime() / 1_000)

const CLAIMS = {
  iss: "Upstash",
  sub: URL_OF_JOB,
  exp: NOW_SECONDS + 300,
  nbf: NOW_SECONDS,
  iat: NOW_SECONDS,
  jti: "jwt_1",
  body: createHash("sha256").update(BODY).digest("base64url"),
}

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url")

function sign({
  claims = CLAIMS,
  header = { alg: "HS256", typ: "JWT" },
  key = CURRENT,
  hash = "sha256",
}: {
  claims?: object
  header?: object
  key?: string
  hash?: string
} = {}): string {
  const content = `${encode(header)}.${encode(claims)}`
  return `${content}.${createHmac(hash, key).update(content).digest("base64url")}`
}

const verify = (signature: string | null, changes: { body?: Uint8Array; url?: string; now?: Date } = {}) =>
  verifyQstashSignature({
    signature,
    body: BODY,
    url: URL_OF_JOB,
    currentSigningKey: CURRENT,
    nextSigningKey: NEXT,
    now: NOW,
    ...changes,
  })

const isAcceptedBySdk = (signature: string, body = BODY.toString(), url = URL_OF_JOB): Promise<boolean> =>
  new Receiver({ currentSigningKey: CURRENT, nextSigningKey: NEXT, devMode: false })
    .verify({ signature, body, url })
    .catch(() => false)

const refused = (reason: string) => ({ ok: false, error: { reason } })
const without = (name: string): object => Object.fromEntries(Object.entries(CLAIMS).filter(([key]) => key !== name))

describe("QStash's signatures are accepted, as by the SDK", () => {
  test("under the current key", async () => {
    const signature = sign()
    expect(await isAcceptedBySdk(signature)).toBe(true)
    const value = { tokenId: "jwt_1", issuedAt: new Date(NOW_SECONDS * 1_000), key: "current" }
    expect(await verify(signature)).toEqual({ ok: true, value })
  })

  test("under the next key, while they are rotated", async () => {
    const signature = sign({ key: NEXT })
    expect(await isAcceptedBySdk(signature)).toBe(true)
    expect(await verify(signature)).toMatchObject({ ok: true, value: { key: "next" } })
  })

  test("with a padded hash", async () => {
    const signature = sign({ claims: { ...CLAIMS, body: `${CLAIMS.body}=` } })
    expect(await isAcceptedBySdk(signature)).toBe(true)
    expect((await verify(signature)).ok).toBe(true)
  })

  test("over an empty body", async () => {
    const body = createHash("sha256").update("").digest("base64url")
    const signature = sign({ claims: { ...CLAIMS, body } })
    expect(await isAcceptedBySdk(signature, "")).toBe(true)
    expect((await verify(signature, { body: new Uint8Array(0) })).ok).toBe(true)
  })

  test("from a clock that is five seconds ahead of ours, and not six", async () => {
    const signature = sign()
    expect((await verify(signature, { now: new Date((NOW_SECONDS - 5) * 1_000) })).ok).toBe(true)
    expect(await verify(signature, { now: new Date((NOW_SECONDS - 6) * 1_000) })).toEqual(refused("not_yet_valid"))
  })

  test("until the second in which it expires", async () => {
    const signature = sign()
    expect((await verify(signature, { now: new Date(CLAIMS.exp * 1_000 - 1) })).ok).toBe(true)
    expect(await verify(signature, { now: new Date(CLAIMS.exp * 1_000) })).toEqual(refused("expired"))
  })
})

test("everything accepted here is accepted by the SDK", async () => {
  const seconds = fc.integer({ min: NOW_SECONDS - 400, max: NOW_SECONDS + 400 })
  const claims = fc.record(
    {
      iss: fc.constantFrom<unknown>("Upstash", "upstash", 1),
      sub: fc.constantFrom<unknown>(URL_OF_JOB, `${URL_OF_JOB}/`, null),
      exp: fc.oneof({ weight: 3, arbitrary: fc.constant(CLAIMS.exp) }, seconds),
      nbf: fc.oneof({ weight: 3, arbitrary: fc.constant(CLAIMS.nbf) }, seconds),
      iat: fc.oneof({ weight: 3, arbitrary: fc.constant(CLAIMS.iat) }, seconds),
      jti: fc.constantFrom<unknown>("jwt_1", "", 7),
      body: fc.constantFrom<unknown>(CLAIMS.body, CLAIMS.body.slice(1), ""),
    },
    { noNullPrototype: true },
  )
  await fc.assert(
    fc.asyncProperty(claims, fc.constantFrom(CURRENT, NEXT, "other"), async (value, key) => {
      const signature = sign({ claims: value, key })
      // The SDK allows no skew, the only point where it is stricter, so it is left out here.
      fc.pre(Number(value.nbf) <= NOW_SECONDS)
      if ((await verify(signature)).ok) expect(await isAcceptedBySdk(signature)).toBe(true)
    }),
    { numRuns: 300 },
  )
})

describe("a signature is refused", () => {
  test("when there is none", async () => {
    expect(await verify(null)).toEqual(refused("signature_missing"))
    expect(await verify("")).toEqual(refused("signature_missing"))
  })

  test.each(["x", "a.b", "a.b.c.d", "..", "é.é.é", ` ${sign()}`, `${sign()}=`, "a".repeat(5_000)])(
    "when it is no token: %.20s",
    async (signature) => {
      expect((await verify(signature)).ok).toBe(false)
    },
  )

  test("with alg none, signed or not", async () => {
    const content = `${encode({ alg: "none" })}.${encode(CLAIMS)}`
    expect(await verify(`${content}.`)).toEqual(refused("algorithm_not_accepted"))
    expect(await verify(sign({ header: { alg: "none", typ: "JWT" } }))).toEqual(refused("algorithm_not_accepted"))
    expect(await verify(sign({ header: { alg: "None", typ: "JWT" } }))).toEqual(refused("algorithm_not_accepted"))
  })

  test.each([
    ["HS384", "sha384"],
    ["HS512", "sha512"],
  ])("with %s, even under the right key (the SDK takes it)", async (alg, hash) => {
    const signature = sign({ header: { alg, typ: "JWT" }, hash })
    expect(await isAcceptedBySdk(signature)).toBe(true)
    expect(await verify(signature)).toEqual(refused("algorithm_not_accepted"))
  })

  test("with RS256 or without any algorithm", async () => {
    expect(await verify(sign({ header: { alg: "RS256" } }))).toEqual(refused("algorithm_not_accepted"))
    expect(await verify(sign({ header: { typ: "JWT" } }))).toEqual(refused("algorithm_not_accepted"))
    expect(await verify(sign({ header: ["HS256"] }))).toEqual(refused("algorithm_not_accepted"))
  })

  test("that claims HS256 and has the length of another algorithm", async () => {
    expect(await verify(sign({ hash: "sha512" }))).toEqual(refused("signature_mismatch"))
  })

  test.each([
    ["kid", "../../dev/null"],
    ["jku", "https://attacker.example/jwks.json"],
    ["x5u", "https://attacker.example/cert.pem"],
    ["jwk", { kty: "oct", k: Buffer.from("attacker").toString("base64url") }],
  ])("by a key that its own header offers as %s", async (name, value) => {
    const signature = sign({ header: { alg: "HS256", typ: "JWT", [name]: value }, key: "attacker" })
    expect(await verify(signature)).toEqual(refused("signature_mismatch"))
  })

  test("with crit, which we do not support", async () => {
    const header = { alg: "HS256", typ: "JWT", crit: ["b64"], b64: false }
    expect(await verify(sign({ header }))).toEqual(refused("algorithm_not_accepted"))
  })

  test("with an empty key, also when one of ours is blank", async () => {
    const request = { signature: sign({ key: "" }), body: BODY, url: URL_OF_JOB, now: NOW }
    const verified = await verifyQstashSignature({ ...request, currentSigningKey: "", nextSigningKey: "" })
    expect(verified).toEqual(refused("signature_mismatch"))
  })

  test("with the public development key of the SDK", async () => {
    expect(await verify(sign({ key: "sig_7kYjw48mhY7kAjqNGcy6cr29RJ6r" }))).toEqual(refused("signature_mismatch"))
  })

  test.each(Object.keys(CLAIMS))("without the claim %s", async (name) => {
    expect(await verify(sign({ claims: without(name) }))).toEqual(refused("claim_missing"))
  })

  test.each([
    ["exp", String(CLAIMS.exp)],
    ["exp", CLAIMS.exp + 0.5],
    ["nbf", null],
    ["iat", true],
    ["iat", 1e300],
    ["sub", [URL_OF_JOB]],
    ["jti", ""],
  ])("with a claim %s of another kind", async (name, value) => {
    expect(await verify(sign({ claims: { ...CLAIMS, [name]: value } }))).toEqual(refused("claim_missing"))
  })

  test("of another issuer", async () => {
    expect(await verify(sign({ claims: { ...CLAIMS, iss: "upstash" } }))).toEqual(refused("issuer_mismatch"))
  })

  test.each([
    "https://churn.example.com/jobs/retention",
    "https://churn.example.com/jobs/send-nudge/",
    "https://churn.example.com/jobs/send-nudge?all=true",
    "https://CHURN.example.com/jobs/send-nudge",
    "http://churn.example.com/jobs/send-nudge",
  ])("for another URL: %s", async (url) => {
    expect(await verify(sign(), { url })).toEqual(refused("url_mismatch"))
    expect(await isAcceptedBySdk(sign(), BODY.toString(), url)).toBe(false)
  })

  test("over another body", async () => {
    expect(await verify(sign(), { body: Buffer.from('{"nudgeId":"n_2"}') })).toEqual(refused("body_mismatch"))
    expect(await verify(sign(), { body: new Uint8Array(0) })).toEqual(refused("body_mismatch"))
    expect(await verify(sign({ claims: { ...CLAIMS, body: "=" } }))).toEqual(refused("body_mismatch"))
  })

  test("with a lifetime of more than five minutes (the SDK accepts it)", async () => {
    const signature = sign({ claims: { ...CLAIMS, exp: NOW_SECONDS + 301 } })
    expect(await isAcceptedBySdk(signature)).toBe(true)
    expect(await verify(signature)).toEqual(refused("lifetime_too_long"))
    const early = sign({ claims: { ...CLAIMS, iat: NOW_SECONDS + 100, exp: NOW_SECONDS + 400 } })
    expect(await verify(early)).toEqual(refused("lifetime_too_long"))
  })

  test("when a single character of it was changed", async () => {
    const signature = sign()
    await fc.assert(
      fc.asyncProperty(fc.nat(signature.length - 1), fc.constantFrom(..."AZaz09-_.="), async (index, char) => {
        fc.pre(signature[index] !== char)
        expect((await verify(signature.slice(0, index) + char + signature.slice(index + 1))).ok).toBe(false)
      }),
      { numRuns: 200 },
    )
  })
})

test("no text and no body make it throw", async () => {
  const part = fc.oneof(
    fc.base64String(),
    fc.json().map((json) => Buffer.from(json).toString("base64url")),
  )
  const token = fc.oneof(
    anyString(),
    fc.tuple(part, part, part).map((parts) => parts.join(".")),
  )
  await fc.assert(
    fc.asyncProperty(token, fc.uint8Array(), async (signature, body) => {
      expect((await verify(signature, { body })).ok).toBe(false)
    }),
  )
})
