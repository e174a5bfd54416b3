import { describe, expect, test } from "vitest"
import { type KeyRing, parseKeyRing } from "../crypto/key-ring.ts"
import { addressIndexes, normalizedAddress } from "./address-index.ts"

const key = (fill: number): string => Buffer.alloc(32, fill).toString("base64")

function ring(text: string): KeyRing {
  const parsed = parseKeyRing(text)
  if (!parsed.ok) throw new Error(parsed.error.reason)
  return parsed.value
}

const ONE = ring(`v1:${key(1)}`)
const BOTH = ring(`v1:${key(1)},v2:${key(2)}`)
const indexesOf = async (keys: KeyRing, email: string | null, phone: string | null = null, companyId = "acme") =>
  (await addressIndexes(keys, companyId, { email, phone })).map(({ index }) => index)

describe("spellings of one address", () => {
  test.each([
    ["email", "Ada@Example.ORG", " ada@example.org "],
    ["email", "ada@bücher.example", "ada@xn--bcher-kva.example"],
    ["phone", "+49 151 1234-5678", "+4915112345678"],
    ["phone", "0151 12345678", "(0151) 12345678"],
  ] as const)("%s: %s is %s", (kind, one, other) => {
    expect(normalizedAddress(kind, one)).not.toBeNull()
    expect(normalizedAddress(kind, one)).toBe(normalizedAddress(kind, other))
  })

  test.each([
    ["email", "ada@example.org", "ada+gym@example.org"],
    ["email", "ada.l@example.org", "adal@example.org"],
    ["phone", "+4915112345678", "+4915112345679"],
  ] as const)("%s: %s is not %s", (kind, one, other) => {
    expect(normalizedAddress(kind, one)).not.toBe(normalizedAddress(kind, other))
  })

  test("a text that is no address has no normalized form", () => {
    expect(normalizedAddress("email", "nobody")).toBeNull()
    for (const phone of ["-", "0000000000", "123456789"]) expect(normalizedAddress("phone", phone)).toBeNull()
  })
})

describe("the index", () => {
  test("is the same for two spellings, and differs by company, kind and address", async () => {
    const [first] = await indexesOf(ONE, "ada@example.org")
    expect(await indexesOf(ONE, "ADA@example.org")).toEqual([first])
    const others = await Promise.all([
      indexesOf(ONE, "ada@example.org", null, "globex"),
      indexesOf(ONE, "bob@example.org"),
      indexesOf(ONE, null, "+4915112345678"),
    ])
    expect(new Set([first, ...others.flat()]).size).toBe(4)
  })

  test("contains nothing of the address, and starts with its key version", async () => {
    const [index] = await indexesOf(ONE, "ada@example.org")
    expect(index).toMatch(/^0001[0-9a-f]{64}$/)
    expect(Buffer.from(String(index), "hex").toString("latin1")).not.toContain("ada")
  })

  test("of a customer indexed after a key rotation matches that of one indexed before", async () => {
    const before = await indexesOf(ONE, "ada@example.org")
    const after = await indexesOf(BOTH, "ada@example.org")
    expect(after).toHaveLength(2)
    expect(after).toContain(before[0])
  })
})
