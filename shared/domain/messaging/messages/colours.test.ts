import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { CONTRAST_MIN, coloursOf, contrastOf, DARK_BACKGROUND, DEFAULT_ACCENT, LIGHT_BACKGROUND } from "./colours.ts"

describe("the contrast of two colours", () => {
  // The examples of WebAIM's contrast checker.
  test.each([
    ["#000000", "#ffffff", 21],
    ["#ffffff", "#000000", 21],
    ["#777777", "#ffffff", 4.48],
    ["#0000ff", "#ffffff", 8.59],
    ["#ff0000", "#ffffff", 4],
    ["#123456", "#123456", 1],
    ["#0a0a0a", "#000000", 1.06],
  ])("of %s and %s is %s", (one, other, ratio) => {
    expect(contrastOf(one, other)).toBeCloseTo(ratio, 1)
  })
})

describe("the colours of a company", () => {
  const anyColour = fc.integer({ min: 0, max: 0xffffff }).map((value) => `#${value.toString(16).padStart(6, "0")}`)

  test("can be read, whatever colour was chosen", () => {
    fc.assert(
      fc.property(anyColour, (accent) => {
        const { onAccent, onLight, onDark, accent: kept } = coloursOf(accent)
        expect(kept).toBe(accent)
        expect(contrastOf(onAccent, accent)).toBeGreaterThanOrEqual(CONTRAST_MIN)
        expect(contrastOf(onLight, LIGHT_BACKGROUND)).toBeGreaterThanOrEqual(CONTRAST_MIN)
        expect(contrastOf(onDark, DARK_BACKGROUND)).toBeGreaterThanOrEqual(CONTRAST_MIN)
        for (const colour of [onAccent, onLight, onDark]) expect(colour).toMatch(/^#[0-9a-f]{6}$/)
      }),
    )
  })

  test("stay as they are where they can be read", () => {
    expect(coloursOf(DEFAULT_ACCENT)).toMatchObject({ onAccent: "#ffffff", onLight: DEFAULT_ACCENT })
    expect(coloursOf("#ffd400")).toMatchObject({ accent: "#ffd400", onAccent: "#000000", onDark: "#ffd400" })
  })

  test("are darker on light and lighter on dark where they could not be read", () => {
    expect(coloursOf("#ffffff").onLight).not.toBe("#ffffff")
    expect(coloursOf("#000000").onDark).not.toBe("#000000")
  })

  test("are shades of the company's colour: a dark blue is a light blue on dark, not white", () => {
    expect(coloursOf("#1f1f9f").onDark).toBe("#8f8fcf")
  })
})
