import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { fromUtf8, utf8 } from "./bytes.ts"
import { newDataKey, rewrapDataKey, unwrapDataKey } from "./data-key.ts"
import { deflate, inflate } from "./deflate.ts"
import { type KeyRing, parseKeyRing } from "./key-ring.ts"
import {
  IV_BYTES,
  keyVersionOf,
  open,
  openJson,
  openJsonWith,
  openWith,
  payloadPurpose,
  type SealContext,
  seal,
  sealDeflated,
  sealJson,
  sealJsonWith,
  sealWith,
} from "./seal.ts"

const key = (fill: number): string => Buffer.alloc(32, fill).toString("base64")

function ring(text: string): KeyRing {
  const parsed = parseKeyRing(text)
  if (!parsed.ok) throw new Error(parsed.error.reason)
  return parsed.value
}

const OLD = ring(`v1:${key(1)}`)
const BOTH = ring(`v1:${key(1)},v2:${key(2)}`)
const NEW = ring(`v2:${key(2)}`)

const PLACE: SealContext = {
  purpose: { name: "payload", companyId: "acme", month: "2026-03" },
  context: ["webhook_events", "payload", "evt_1", "acme"],
}
const TEXT = utf8("jenny@example.com")
const reason = (name: string) => expect.objectContaining({ name: "SealError", reason: name })

test("sealed bytes open in their place unchanged", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 200 }),
      fc.array(fc.string(), { maxLength: 5 }),
      async (bytes, context) => {
        const place = { ...PLACE, context }
        expect(await open(OLD, place, await seal(OLD, place, bytes))).toEqual(new Uint8Array(bytes))
      },
    ),
    { numRuns: 50 },
  )
})

test("deflated content opens unchanged, and is smaller where it repeats itself", async () => {
  const content = fc.oneof(
    fc.uint8Array({ maxLength: 2_000 }),
    fc.json({ maxDepth: 4 }).map((json) => utf8(json.repeat(20))),
  )
  await fc.assert(
    fc.asyncProperty(content, async (bytes) => {
      const [plain, deflated] = await Promise.all([seal(OLD, PLACE, bytes), sealDeflated(OLD, PLACE, bytes)])
      expect(await open(OLD, PLACE, deflated)).toEqual(new Uint8Array(bytes))
      expect(deflated.length).toBeLessThanOrEqual(plain.length)
    }),
    { numRuns: 50 },
  )
  expect((await sealDeflated(OLD, PLACE, utf8("line item ".repeat(400)))).length).toBeLessThan(200)
})

test("content that would inflate to more than any payload has does not open", async () => {
  const bomb = new Uint8Array(9 * 1024 * 1024)
  const [format] = await sealDeflated(OLD, PLACE, new Uint8Array(1_000))
  expect(format).toBe(3)
  // Too large to be deflated, it is sealed as it is.
  expect((await sealDeflated(OLD, PLACE, bomb))[0]).toBe(1)
  expect(inflate(deflate(bomb), 8 * 1024 * 1024)).toBeNull()
  expect(inflate(utf8("not deflated"), 8 * 1024 * 1024)).toBeNull()
})

test("the format is sealed as well: content does not open as deflated that is not, nor the reverse", async () => {
  const plain = await seal(OLD, PLACE, TEXT)
  const deflated = await sealDeflated(OLD, PLACE, utf8("line item ".repeat(400)))
  for (const [sealed, format] of [
    [plain, 3],
    [deflated, 1],
  ] as const) {
    const altered = sealed.with(0, format)
    await expect(open(OLD, PLACE, altered)).rejects.toEqual(reason("not_authentic"))
  }
})

describe("sealed bytes do not open", () => {
  test.each<[string, SealContext]>([
    ["in another row", { ...PLACE, context: ["webhook_events", "payload", "evt_2", "acme"] }],
    ["in another table", { ...PLACE, context: ["outbox", "payload", "evt_1", "acme"] }],
    [
      "where the same letters are split differently",
      { ...PLACE, context: ["webhook_events", "payloadevt_1", "", "acme"] },
    ],
    ["where a part is missing", { ...PLACE, context: ["webhook_events", "payload", "evt_1"] }],
    ["for another tenant", { ...PLACE, purpose: { name: "payload", companyId: "other", month: "2026-03" } }],
    ["as of another month", { ...PLACE, purpose: { name: "payload", companyId: "acme", month: "2026-04" } }],
    ["for another purpose", { ...PLACE, purpose: { name: "secret" } }],
  ])("%s", async (_, place) => {
    const sealed = await seal(OLD, PLACE, TEXT)
    await expect(open(OLD, place, sealed)).rejects.toEqual(reason("not_authentic"))
  })

  test("when any byte was changed", async () => {
    const sealed = await seal(BOTH, PLACE, TEXT)
    for (const index of sealed.keys()) {
      const changed = sealed.slice()
      changed[index] = (changed[index] ?? 0) ^ 1
      await expect(open(BOTH, PLACE, changed)).rejects.toThrow("do not open")
    }
  })

  test("when they were cut or lengthened", async () => {
    const sealed = await seal(OLD, PLACE, TEXT)
    for (let length = 0; length < sealed.length; length += 1) {
      await expect(open(OLD, PLACE, sealed.slice(0, length))).rejects.toThrow("do not open")
    }
    await expect(open(OLD, PLACE, new Uint8Array([...sealed, 0]))).rejects.toEqual(reason("not_authentic"))
  })

  test("when their key version was changed", async () => {
    const sealed = await seal(OLD, PLACE, TEXT)
    sealed[2] = 2
    await expect(open(BOTH, PLACE, sealed)).rejects.toEqual(reason("not_authentic"))
  })

  test("when their key was retired", async () => {
    await expect(open(NEW, PLACE, await seal(OLD, PLACE, TEXT))).rejects.toEqual(reason("unknown_key_version"))
  })
})

test("while keys are rotated the old one opens and the new one seals", async () => {
  const old = await seal(OLD, PLACE, TEXT)
  expect(await open(BOTH, PLACE, old)).toEqual(TEXT)
  const fresh = await seal(BOTH, PLACE, TEXT)
  expect([keyVersionOf(old), keyVersionOf(fresh)]).toEqual([1, 2])
  expect(await open(NEW, PLACE, fresh)).toEqual(TEXT)
})

test("the IV has 12 bytes and differs each time", async () => {
  expect(IV_BYTES).toBe(12)
  const ivs = new Set<string>()
  for (let index = 0; index < 500; index += 1) {
    const sealed = await seal(OLD, PLACE, TEXT)
    expect(sealed.length).toBe(3 + 12 + TEXT.length + 16)
    ivs.add(Buffer.from(sealed.slice(3, 15)).toString("hex"))
  }
  expect(ivs.size).toBe(500)
})

test("a value sealed as JSON opens unchanged, lone surrogates and NUL included", async () => {
  const value = { name: "Zoë \u0000 \ud800", list: [1, null, true], nested: { "": "x" } }
  expect(await openJson(OLD, PLACE, await sealJson(OLD, PLACE, value))).toEqual(value)
  await expect(sealJson(OLD, PLACE, undefined)).rejects.toThrow(TypeError)
})

test("bytes that are not JSON are rejected without being quoted", async () => {
  const opened = openJson(OLD, PLACE, await seal(OLD, PLACE, TEXT))
  await expect(opened).rejects.toEqual(reason("malformed"))
  await expect(opened).rejects.not.toThrow("jenny")
})

test("a month is written as yyyy-mm, in UTC", async () => {
  const purpose = payloadPurpose("acme", new Date("2026-03-31T23:59:59.999Z"))
  expect(purpose).toEqual({ name: "payload", companyId: "acme", month: "2026-03" })
  await expect(
    seal(OLD, { purpose: { name: "payload", companyId: "a", month: "March" }, context: [] }, TEXT),
  ).rejects.toThrow(RangeError)
})

describe("a customer's data key", () => {
  const CONTEXT = ["customers", "data_key", "cus_1", "acme"]
  const FIELD = ["customer_pii", "email", "cus_1", "acme"]

  test("opens what it sealed, after it was stored and read again", async () => {
    const { key: dataKey, wrapped } = await newDataKey(OLD, CONTEXT)
    const sealed = await sealWith(dataKey, FIELD, TEXT)
    const again = await unwrapDataKey(OLD, CONTEXT, wrapped)
    expect(fromUtf8(await openWith(again, FIELD, sealed))).toBe("jenny@example.com")
    expect(await openJsonWith(again, FIELD, await sealJsonWith(dataKey, FIELD, { a: 1 }))).toEqual({ a: 1 })
    expect(dataKey.extractable || again.extractable).toBe(false)
  })

  test("opens nothing of another customer, and nothing in another place", async () => {
    const one = await newDataKey(OLD, CONTEXT)
    const other = await newDataKey(OLD, CONTEXT)
    const sealed = await sealWith(one.key, FIELD, TEXT)
    await expect(openWith(other.key, FIELD, sealed)).rejects.toEqual(reason("not_authentic"))
    await expect(openWith(one.key, CONTEXT, sealed)).rejects.toEqual(reason("not_authentic"))
    await expect(openWith(one.key, FIELD, await seal(OLD, PLACE, TEXT))).rejects.toEqual(reason("malformed"))
  })

  test("does not unwrap in another customer's row", async () => {
    const { wrapped } = await newDataKey(OLD, CONTEXT)
    const moved = unwrapDataKey(OLD, ["customers", "data_key", "cus_2", "acme"], wrapped)
    await expect(moved).rejects.toEqual(reason("not_authentic"))
  })

  test("is wrapped again once when the master key was rotated, and stays the same key", async () => {
    const { key: dataKey, wrapped } = await newDataKey(OLD, CONTEXT)
    const sealed = await sealWith(dataKey, FIELD, TEXT)
    const rewrapped = await rewrapDataKey(BOTH, CONTEXT, wrapped)
    if (!rewrapped) throw new Error("it was wrapped under the old key")
    expect(await openWith(await unwrapDataKey(NEW, CONTEXT, rewrapped), FIELD, sealed)).toEqual(TEXT)
    expect(await rewrapDataKey(BOTH, CONTEXT, rewrapped)).toBeNull()
  })
})
