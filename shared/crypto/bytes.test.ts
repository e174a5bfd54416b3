import { afterEach, expect, test } from "vitest"
import { decodeBase64, fromBase64Url, toBase64, toBase64Url } from "./bytes.ts"

/** Bytes whose text has each of the characters in which the two alphabets differ, with and without padding. */
const SAMPLES = [[], [0], [251, 255], [255, 239, 190], [62, 63, 250, 251]].map((bytes) => Uint8Array.from(bytes))

afterEach(() => Reflect.deleteProperty(Uint8Array.prototype, "toBase64"))

test("base64 is as Node writes it, and is read again", () => {
  for (const bytes of SAMPLES) {
    expect(toBase64(bytes)).toBe(Buffer.from(bytes).toString("base64"))
    expect(toBase64Url(bytes)).toBe(Buffer.from(bytes).toString("base64url"))
    expect(decodeBase64(toBase64(bytes))).toEqual(bytes)
    expect(fromBase64Url(toBase64Url(bytes))).toEqual(bytes)
  }
})

test("the platform's own method is used where it exists", () => {
  Object.defineProperty(Uint8Array.prototype, "toBase64", { value: () => "bmF0aXZl+/==", configurable: true })
  expect(toBase64(new Uint8Array(1))).toBe("bmF0aXZl+/==")
  expect(toBase64Url(new Uint8Array(1))).toBe("bmF0aXZl-_")
})
