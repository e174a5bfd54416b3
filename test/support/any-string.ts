import fc from "fast-check"

const SURROGATES = { first: 0xd800, count: 0x800 }
const CODE_POINTS = 0x110000 - SURROGATES.count

/**
 * Strings of any Unicode characters. fast-check's own `unit: "binary"` makes the same strings, but takes two seconds to list
 * all characters before the first.
 */
export const anyString = (length: { readonly minLength?: number; readonly maxLength?: number } = {}) =>
  fc
    .array(fc.nat({ max: CODE_POINTS - 1 }), length)
    .map((places) =>
      String.fromCodePoint(...places.map((place) => (place < SURROGATES.first ? place : place + SURROGATES.count))),
    )
