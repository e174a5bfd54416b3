import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { jpegStart, png } from "../../../../test/support/logos.ts"
import { LOGO_BYTES_MAX, logoPath, readLogo, shownSize } from "./logo.ts"

const bytes = (text: string) => new TextEncoder().encode(text)

const pngOfBytes = (length: number) => {
  const padding = length - png(10, 10, { padding: 1 }).length + 1
  return png(10, 10, { padding })
}

describe("an uploaded image", () => {
  test.each([
    ["a PNG", png(120, 40), { type: "image/png", width: 120, height: 40 }],
    ["a JPEG", jpegStart(300, 90), { type: "image/jpeg", width: 300, height: 90 }],
    ["a progressive JPEG", jpegStart(300, 90, 0xc2), { type: "image/jpeg", width: 300, height: 90 }],
    ["a JPEG of the last kind of frame", jpegStart(300, 90, 0xcf), { type: "image/jpeg", width: 300, height: 90 }],
    ["a PNG of the largest size", png(2_000, 2_000), { type: "image/png", width: 2_000, height: 2_000 }],
    ["a PNG of the largest file", pngOfBytes(LOGO_BYTES_MAX), { type: "image/png", width: 10, height: 10 }],
    ["the header of a PNG", png(120, 40).slice(0, 24), { type: "image/png", width: 120, height: 40 }],
  ])("%s has its type and size from its bytes", (_, image, read) => {
    expect(readLogo(image)).toEqual(read)
  })

  test.each([
    ["nothing", new Uint8Array(), "expected a PNG or JPEG image"],
    ["a drawing with a script", bytes("<svg onload=alert(1)>"), "expected a PNG or JPEG image"],
    ["a page", bytes("<!doctype html><script>alert(1)</script>"), "expected a PNG or JPEG image"],
    ["an animation", bytes("GIF89a\u0001\u0000\u0001\u0000"), "expected a PNG or JPEG image"],
    ["a PNG without its header", png(10, 10).slice(0, 20), "expected a PNG or JPEG image"],
    ["a PNG without a size", png(0, 10), "expected a PNG or JPEG image"],
    ["a PNG without a height", png(10, 0), "expected a PNG or JPEG image"],
    ["a frame without the start of a JPEG", jpegStart(10, 10).with(0, 0), "expected a PNG or JPEG image"],
    ["a JPEG with a segment before the kinds of frames", jpegStart(10, 10, 0xbf), "expected a PNG or JPEG image"],
    ["a JPEG with extensions only", jpegStart(10, 10, 0xc8), "expected a PNG or JPEG image"],
    ["a JPEG with arithmetic coding only", jpegStart(10, 10, 0xcc), "expected a PNG or JPEG image"],
    [
      "a JPEG whose next segment does not begin with a marker",
      jpegStart(10, 10).with(8, 0),
      "expected a PNG or JPEG image",
    ],
    ["a JPEG without a frame", jpegStart(10, 10).slice(0, 14), "expected a PNG or JPEG image"],
    ["a JPEG with tables only", jpegStart(10, 10, 0xc4), "expected a PNG or JPEG image"],
    ["an image of many pixels", png(10, 30_000), "the image is wider or higher than 2000 pixels"],
    ["a wide image", jpegStart(2_001, 10), "the image is wider or higher than 2000 pixels"],
    ["a large file", pngOfBytes(LOGO_BYTES_MAX + 1), "the image is larger than 64 KiB"],
  ])("%s is refused with the reason", (_, image, reason) => {
    expect(readLogo(image)).toEqual({ reason })
  })

  test("of any bytes is read without an error", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (any) => readLogo(any) !== null))
    const start = fc.constantFrom(png(5, 5), jpegStart(5, 5))
    fc.assert(fc.property(start, fc.nat(60), (image, length) => readLogo(image.slice(0, length)) !== null))
  })

  test("is read where it lies within other bytes", () => {
    const whole = new Uint8Array([1, 2, 3, ...png(120, 40)])
    expect(readLogo(whole.subarray(3))).toEqual({ type: "image/png", width: 120, height: 40 })
  })
})

test.each([
  [
    { width: 120, height: 40 },
    { width: 120, height: 40 },
  ],
  [
    { width: 480, height: 64 },
    { width: 240, height: 32 },
  ],
  [
    { width: 100, height: 640 },
    { width: 10, height: 64 },
  ],
  [
    { width: 2_000, height: 1 },
    { width: 240, height: 1 },
  ],
])("a logo of %j is shown as %j", (size, shown) => {
  expect(shownSize(size)).toEqual(shown)
})

test("the path of a logo names company, content and type", () => {
  expect(logoPath("acme", { id: "ab12", type: "image/png" })).toBe("/logos/acme/ab12.png")
  expect(logoPath("acme", { id: "ab12", type: "image/jpeg" })).toBe("/logos/acme/ab12.jpg")
})
