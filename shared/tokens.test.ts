import fc from "fast-check"
import { expect, test } from "vitest"
import { anyString } from "../test/support/any-string.ts"
import { type KeyRing, parseKeyRing } from "./crypto/key-ring.ts"
import { signToken, type TokenClaims, verifyToken } from "./tokens.ts"

function ring(text: string): KeyRing {
  const parsed = parseKeyRing(text)
  if (!parsed.ok) throw new Error(parsed.error.reason)
  return parsed.value
}

const key = (fill: number): string => Buffer.alloc(32, fill).toString("base64")
const KEYS = ring(`v1:${key(1)}`)
const NOW = new Date("2026-03-01T10:00:00Z")
const NOW_SECONDS = NOW.getTime() / 1_000

const CLAIMS: TokenClaims = {
  companyId: "demo_company",
  customerId: "01890a5d-ac96-774b-bcce-b302099a8057",
  caseId: "01890a5d-ac96-774b-bcce-b302099a8058",
  nudgeId: "01890a5d-ac96-774b-bcce-b302099a8059",
  expiresAtSeconds: NOW_SECONDS + 60,
}

const ids = fc
  .oneof(
    fc.string({ minLength: 1, maxLength: 30, unit: "grapheme" }),
    anyString({ minLength: 200, maxLength: 300 }).map((id) => id.toWellFormed()),
  )
  .filter((id) => Buffer.byteLength(id) <= 900)

test("a token decodes to the signed claims", async () => {
  const claims = fc.record({
    companyId: ids,
    customerId: ids,
    caseId: ids,
    nudgeId: fc.option(ids),
    expiresAtSeconds: fc.integer({ min: NOW_SECONDS + 1, max: 2 ** 40 - 1 }),
  })
  await fc.assert(
    fc.asyncProperty(claims, fc.constantFrom("link", "unsubscribe"), async (value, purpose) => {
      const token = await signToken(KEYS, { ...value, purpose })
      expect(await verifyToken(KEYS, purpose, token, NOW)).toEqual({ ok: true, value })
    }),
    { numRuns: 100 },
  )
})

test("a token with usual ids is short enough for a link", async () => {
  const token = await signToken(KEYS, { ...CLAIMS, companyId: "c".repeat(64), purpose: "link" })
  expect(token.length).toBeLessThanOrEqual(512)
  expect(token).toMatch(/^[A-Za-z0-9_-]+$/)
})

test("a token of format 1 is still valid", async () => {
  // Format 1, signed with the same key.
  const short = await signToken(KEYS, { ...CLAIMS, purpose: "link" })
  expect(Buffer.from(short, "base64url")[0]).toBe(1)
  const customerId = `stripe_${"€".repeat(255)}`
  const long = await signToken(KEYS, { ...CLAIMS, customerId, purpose: "link" })
  expect(Buffer.from(long, "base64url")[0]).toBe(2)
  expect(await verifyToken(KEYS, "link", long, NOW)).toMatchObject({ ok: true, value: { customerId } })
})

test("a token does not contain the case id twice", async () => {
  const claims = { ...CLAIMS, caseId: "payment_in_1MtHbELkdIwHu7ixl4OzzPMv", customerId: "stripe_cus_NffrFeUfNV2Hib" }
  const nudgeId = `${claims.caseId}.0.sms`
  const token = await signToken(KEYS, { ...claims, nudgeId, purpose: "link" })
  expect(await verifyToken(KEYS, "link", token, NOW)).toEqual({ ok: true, value: { ...claims, nudgeId } })
  expect(token.length).toBeLessThanOrEqual(170)
})

test("a token with any changed character is refused", async () => {
  const token = await signToken(KEYS, { ...CLAIMS, purpose: "link" })
  const alphabet = fc.constantFrom(..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/. ")
  await fc.assert(
    fc.asyncProperty(fc.nat(token.length - 1), alphabet, async (index, char) => {
      fc.pre(token[index] !== char)
      const changed = token.slice(0, index) + char + token.slice(index + 1)
      expect((await verifyToken(KEYS, "link", changed, NOW)).ok).toBe(false)
    }),
    { numRuns: 300 },
  )
})

test("a shortened or lengthened token is refused", async () => {
  const token = await signToken(KEYS, { ...CLAIMS, purpose: "link" })
  for (const changed of [token.slice(1), token.slice(0, -1), `${token}A`, `${token}=`, ` ${token}`, token + token]) {
    expect((await verifyToken(KEYS, "link", changed, NOW)).ok).toBe(false)
  }
})

test("a link token is not valid for unsubscribing, and vice versa", async () => {
  const link = await signToken(KEYS, { ...CLAIMS, purpose: "link" })
  const unsubscribe = await signToken(KEYS, { ...CLAIMS, purpose: "unsubscribe" })
  const refused = { ok: false, error: { reason: "bad_signature" } }
  expect(await verifyToken(KEYS, "unsubscribe", link, NOW)).toEqual(refused)
  expect(await verifyToken(KEYS, "link", unsubscribe, NOW)).toEqual(refused)
})

test("a token is refused from its expiry second on", async () => {
  const token = await signToken(KEYS, { ...CLAIMS, purpose: "link" })
  const at = (ms: number) => verifyToken(KEYS, "link", token, new Date(CLAIMS.expiresAtSeconds * 1_000 + ms))
  expect((await at(-1)).ok).toBe(true)
  expect(await at(0)).toEqual({ ok: false, error: { reason: "expired" } })
})

test("a token stays valid after a key rotation, until its key is retired", async () => {
  const token = await signToken(KEYS, { ...CLAIMS, purpose: "link" })
  expect((await verifyToken(ring(`v1:${key(1)},v2:${key(2)}`), "link", token, NOW)).ok).toBe(true)
  const retired = await verifyToken(ring(`v2:${key(2)}`), "link", token, NOW)
  expect(retired).toEqual({ ok: false, error: { reason: "bad_signature" } })
})

test("verifying never throws", async () => {
  const texts = fc.oneof(anyString({ maxLength: 2_000 }), fc.base64String({ maxLength: 900 }))
  await fc.assert(
    fc.asyncProperty(texts, async (text) => {
      expect((await verifyToken(KEYS, "link", text, NOW)).ok).toBe(false)
    }),
  )
})

test("ids that could not be decoded are not signed", async () => {
  for (const customerId of ["", "x".repeat(901), "\ud800"]) {
    await expect(signToken(KEYS, { ...CLAIMS, customerId, purpose: "link" })).rejects.toThrow(RangeError)
  }
  await expect(signToken(KEYS, { ...CLAIMS, expiresAtSeconds: 1.5, purpose: "link" })).rejects.toThrow(RangeError)
})
