import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { decodeCanonicalBase64, decodeHex, hmacSha256, joinBytes } from "./signature.ts"

describe("primitives of signatures", () => {
  test("hex is decoded only in its canonical form", () => {
    expect(decodeHex("00ff10")).toEqual(new Uint8Array([0, 255, 16]))
    for (const text of ["0", "FF", "0x00", "0g", " 00", "00 ", "00\n"]) expect(decodeHex(text)).toBeNull()
  })

  test("base64 is decoded only in its canonical form", () => {
    expect(decodeCanonicalBase64("AP8Q")).toEqual(new Uint8Array([0, 255, 16]))
    expect(decodeCanonicalBase64("AA==")).toEqual(new Uint8Array([0]))
    for (const text of ["AA", "AA=", "AB==", "A===", "AP8Q\n", " AP8Q", "-_==", "AA==AA==", "===="]) {
      expect(decodeCanonicalBase64(text)).toBeNull()
    }
  })

  test("encoded bytes are decoded to the same bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(decodeCanonicalBase64(Buffer.from(bytes).toString("base64"))).toEqual(new Uint8Array(bytes))
        expect(decodeHex(Buffer.from(bytes).toString("hex"))).toEqual(new Uint8Array(bytes))
      }),
    )
  })

  test("HMAC-SHA256 gives the vectors of RFC 4231, also after many other keys", async () => {
    const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex")
    const jefe = () => hmacSha256(joinBytes("Jefe"), joinBytes("what do ya want for nothing?"))
    const expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    expect(hex(await jefe())).toBe(expected)
    for (let i = 0; i < 200; i++) await hmacSha256(joinBytes(`key ${i}`), joinBytes("a"))
    expect(hex(await jefe())).toBe(expected)
  })
})
