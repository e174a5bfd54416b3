import { createHmac } from "node:crypto"
import fc from "fast-check"
import Stripe from "stripe"
import { describe, expect, test } from "vitest"
import { verify } from "./verify.ts"

// The package signs here as an independent implementation, given only the text, the secret and the time.
const stripe = new Stripe("sk_test_none")
const NOW = 1_767_225_600
const SECRET = "whsec_first"
const BODY = '{"id":"evt_1","object":"event"}'

const sign = (body = BODY, secret = SECRET, timestamp = NOW) =>
  stripe.webhooks.generateTestHeaderStringAsync({ payload: body, secret, timestamp })

/** The v1 alone. */
const v1 = async (body = BODY, secret = SECRET, timestamp = NOW) =>
  (await sign(body, secret, timestamp)).split("v1=")[1]

const check = (
  header: string | null,
  { body = BODY as string | Uint8Array, secrets = [SECRET], nowMs = NOW * 1000 } = {},
) =>
  verify({
    headers: new Headers(header === null ? {} : { "Stripe-Signature": header }),
    rawBody: typeof body === "string" ? new TextEncoder().encode(body) : body,
    now: new Date(nowMs),
    secrets,
  })

const refused = (reason: string) => ({ ok: false, error: expect.objectContaining({ reason }) })
const accepted = (secretIndex = 0) => ({ ok: true, value: { secretIndex, scheme: "v1" } })

describe("a delivery is verified", () => {
  test("with a signature of one secret", async () => {
    expect(await check(await sign())).toEqual(accepted())
  })

  test("with any of several secrets, and its index is returned", async () => {
    const secrets = ["whsec_old", "whsec_new", "whsec_next"]
    for (const [index, secret] of secrets.entries()) {
      expect(await check(await sign(BODY, secret), { secrets })).toEqual(accepted(index))
    }
  })

  test("with several v1, when any of them matches", async () => {
    const other = await v1(BODY, "whsec_other")
    expect(await check(`t=${NOW},v1=${other},v1=${await v1()}`)).toEqual(accepted())
    expect(await check(`t=${NOW},v1=${await v1()},v1=${other}`)).toEqual(accepted())
  })

  test("with schemes we do not know beside v1, and in any order", async () => {
    expect(await check(`v0=${"0".repeat(64)},v1=${await v1()},t=${NOW},v2=x`)).toEqual(accepted())
  })

  test("with a v1 of another length beside the right one", async () => {
    expect(await check(`t=${NOW},v1=ab,v1=${await v1()}`)).toEqual(accepted())
  })

  test.each([-300, -1, 0, 1, 300])("when it was signed %i seconds from now", async (offset) => {
    expect(await check(await sign(BODY, SECRET, NOW + offset))).toEqual(accepted())
  })

  test("over its bytes, a byte order mark included", async () => {
    expect(await check(await sign(`\uFEFF${BODY}`), { body: `\uFEFF${BODY}` })).toEqual(accepted())
    expect(await check(await sign(), { body: `\uFEFF${BODY}` })).toEqual(refused("signature_mismatch"))
  })
})

describe("a delivery is rejected", () => {
  test("without the header", async () => {
    expect(await check(null)).toEqual(refused("signature_missing"))
    expect(await check("")).toEqual(refused("signature_missing"))
  })

  test.each([-301, 301, -86_400, 31_536_000])("when it was signed %i seconds from now", async (offset) => {
    const result = await check(await sign(BODY, SECRET, NOW + offset))
    expect(result).toEqual({ ok: false, error: { reason: "timestamp_out_of_range", ageMs: -offset * 1000 } })
  })

  test("when the clock does not work", async () => {
    expect(await check(await sign(), { nowMs: Number.NaN })).toEqual(refused("timestamp_out_of_range"))
  })

  test.each(
    [
      ["", "+1767225600", "-1767225600", "01767225600", "176722560", "17672256000", "1767225600.0", "1.7672256e9"],
      [
        "1767225600 ",
        " 1767225600",
        "1767225600abc",
        "abc",
        "NaN",
        "Infinity",
        "0x6955b900",
        "1767225600\t",
        "１７６７２２５６００",
      ],
    ].flat(),
  )("with the timestamp %j", async (timestamp) => {
    // Signed as it is written, so that only its form can be the reason.
    const signed = createHmac("sha256", SECRET).update(`${timestamp}.${BODY}`).digest("hex")
    let header: string
    try {
      header =
        new Headers({ "stripe-signature": `v1=${signed},t=${timestamp},v1=${signed}` }).get("stripe-signature") ?? ""
    } catch {
      return // cannot even be put into a header
    }
    expect(await check(header)).toEqual(refused("signature_malformed"))
  })

  test("without a timestamp, or with two", async () => {
    expect(await check(`v1=${await v1()}`)).toEqual(refused("signature_malformed"))
    expect(await check(`t=${NOW},t=${NOW},v1=${await v1()}`)).toEqual(refused("signature_malformed"))
  })

  test("when the header was sent twice", async () => {
    const header = await sign()
    const headers = new Headers([
      ["stripe-signature", header],
      ["stripe-signature", header],
    ])
    expect(await check(headers.get("stripe-signature"))).toEqual(refused("signature_malformed"))
  })

  test("without a v1, even with other schemes", async () => {
    expect(await check(`t=${NOW}`)).toEqual(refused("signature_mismatch"))
    expect(await check(`t=${NOW},v0=${await v1()}`)).toEqual(refused("signature_mismatch"))
  })

  test("with the v1 in another encoding", async () => {
    const right = await v1()
    for (const wrong of [right?.toUpperCase(), right?.slice(0, 63), `${right}0`, `0x${right}`, `${right}=`]) {
      expect(await check(`t=${NOW},v1=${wrong}`)).toEqual(refused("signature_mismatch"))
    }
  })

  test("with any one digit of the v1 changed", async () => {
    const right = (await v1()) ?? ""
    for (let i = 0; i < 64; i++) {
      const wrong = right.slice(0, i) + (right[i] === "0" ? "1" : "0") + right.slice(i + 1)
      expect(await check(`t=${NOW},v1=${wrong}`)).toEqual(refused("signature_mismatch"))
    }
  })

  test("with the signature of another body, secret or time", async () => {
    expect(await check(await sign(`${BODY} `))).toEqual(refused("signature_mismatch"))
    expect(await check(await sign(BODY, "whsec_other"))).toEqual(refused("signature_mismatch"))
    expect(await check(`t=${NOW},v1=${await v1(BODY, SECRET, NOW - 1)}`)).toEqual(refused("signature_mismatch"))
  })

  test("when bytes were swapped for others that decode alike", async () => {
    const header = await sign('{"a":"\uFFFD"}')
    const body = new Uint8Array([...new TextEncoder().encode('{"a":"'), 0xff, ...new TextEncoder().encode('"}')])
    expect(await check(header, { body })).toEqual(refused("signature_mismatch"))
  })

  test("when the secret is blank, or there is none", async () => {
    const blank = await sign(BODY, " ")
    expect(await check(blank, { secrets: [""] })).toEqual(refused("signature_mismatch"))
    expect(await check(blank, { secrets: [" "] })).toEqual(refused("signature_mismatch"))
    expect(await check(blank, { secrets: [] })).toEqual(refused("signature_mismatch"))
  })

  test("with more than 16 entries, or more than 4 KiB", async () => {
    const right = await v1()
    const entries = (count: number) => `t=${NOW},${"v0=0,".repeat(count - 2)}v1=${right}`
    expect(await check(entries(16))).toEqual(accepted())
    expect(await check(entries(17))).toEqual(refused("signature_malformed"))
    expect(await check(`t=${NOW},v0=${"0".repeat(4096)},v1=${right}`)).toEqual(refused("signature_malformed"))
  })

  test("with 200 000 entries, at once", async () => {
    const header = `t=${NOW}${`,v1=${await v1()}`.repeat(200_000)}`
    const before = process.cpuUsage()
    expect(await check(header)).toEqual(refused("signature_malformed"))
    // Reading all of them takes longer. CPU time is measured, so that a busy machine does not matter.
    expect(process.cpuUsage(before).user).toBeLessThan(200_000)
  })

  test.each([
    "t",
    "=",
    ",",
    "t=1767225600,",
    ",t=1767225600",
    "t=1767225600,v1",
    "t=1767225600,v1=",
    "t=1767225600, v1=a",
    "t=1767225600;v1=a",
  ])("with the header %j", async (header) => {
    expect(await check(header)).toEqual(refused("signature_malformed"))
  })
})

describe("compared with the package stripe", () => {
  const secretText = fc.stringMatching(/^whsec_[A-Za-z0-9]{1,40}$/)
  const body = fc
    .string({ unit: "grapheme", minLength: 1 })
    .filter((text) => text.isWellFormed() && !text.startsWith("\uFEFF"))
  const theyAccept = async (header: string, text: string, secrets: readonly string[]) => {
    for (const secret of secrets) {
      try {
        const payload = new TextEncoder().encode(text)
        await stripe.webhooks.signature?.verifyHeaderAsync(payload, header, secret, 300, undefined, NOW * 1000)
        return true
      } catch {
        // the next secret
      }
    }
    return false
  }

  test("every valid signature is accepted", async () => {
    await fc.assert(
      fc.asyncProperty(body, secretText, fc.integer({ min: -300, max: 300 }), async (text, secret, offset) => {
        const header = await sign(text, secret, NOW + offset)
        expect(await check(header, { body: text, secrets: ["whsec_none", secret] })).toEqual(accepted(1))
      }),
    )
  })

  test("it accepts everything that we accept", async () => {
    const piece = fc.constantFrom("t=", "v1=", "v0=", ",", "=", " ", `${NOW}`, `${NOW - 300}`, "0", "a", "\t")
    await fc.assert(
      fc.asyncProperty(
        body,
        fc.array(fc.tuple(fc.nat({ max: 100 }), piece, fc.nat({ max: 3 })), { maxLength: 3 }),
        async (text, edits) => {
          const header = edits.reduce(
            (edited, [at, inserted, removed]) => edited.slice(0, at) + inserted + edited.slice(at + removed),
            await sign(text),
          )
          const value = new Headers({ "stripe-signature": header }).get("stripe-signature") ?? ""
          const ours = await check(value, { body: text })
          if (ours.ok) expect(await theyAccept(value, text, [SECRET])).toBe(true)
        },
      ),
      { numRuns: 500 },
    )
  })

  test("it still accepts signatures of next year, which we reject", async () => {
    const header = await sign(BODY, SECRET, NOW + 31_536_000)
    expect(await theyAccept(header, BODY, [SECRET])).toBe(true)
    expect((await check(header)).ok).toBe(false)
  })
})
