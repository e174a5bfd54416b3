import { describe, expect, test } from "vitest"
import { isGsm, segmentsOf, stripToGsm, toGsm } from "./sms.ts"

describe("the alphabet of text messages", () => {
  test.each(["", "Hi @£$¥ 100% [x] {y} ~|\\^€", "ÄÖÜß äöü àèéìòù Ññ Çø Åå Δ ¿¡ §", "\f\n\r"])("has %j", (text) => {
    expect(isGsm(text)).toBe(true)
  })

  test.each(["ç", "á", "’", "“", "…", "–", "樂", "💪", "\t", "`", "a\u00a0b", "aç"])("does not have %j", (text) => {
    expect(isGsm(text)).toBe(false)
  })
})

describe("a text is written in that alphabet", () => {
  test.each([
    ["’ ‘ ‚ `", "' ' ' '"],
    ["“ ” „ « »", '" " " " "'],
    ["– — \u2011 −", "- - - -"],
    ["• ×", "- x"],
    ["…", "..."],
    ["œ Œ ł Ł đ Đ ð þ ı ẞ", "oe OE l L d D d th i SS"],
    ["a\u00a0b\u202fc\u3000d", "a b c d"],
    ["á ê î õ ç Ń Š", "a e i o c N S"],
    ["é à Ö ñ €", "é à Ö ñ €"],
    ["e\u0301", "é"],
    ["ﬁ ① ２", "fi 1 2"],
    ["樂 💪 я", "樂 💪 я"],
    ["\u0301", "\u0301"],
  ])("%j as %j", (text, expected) => {
    expect(toGsm(text)).toBe(expected)
  })

  test.each([
    ["Gym 💪 Berlin", "Gym Berlin"],
    ["💪 Gym 樂", "Gym"],
    ["樂天", ""],
    ["Café Ñandú…", "Café Ñandu..."],
    ["a  b   c", "a b c"],
  ])("and %j, without what it does not have, as %j", (text, expected) => {
    expect(stripToGsm(text)).toBe(expected)
  })
})

describe("a text message has", () => {
  test.each([
    [1, "160 letters", "a".repeat(160)],
    [2, "161 letters", "a".repeat(161)],
    [2, "306 letters", "a".repeat(306)],
    [3, "307 letters", "a".repeat(307)],
    [1, "80 characters of the extension, two each", "€".repeat(80)],
    [2, "81 of them", "€".repeat(81)],
    [2, "152 of them: one is never divided", "€".repeat(152)],
    [3, "153 of them", "€".repeat(153)],
    [1, "70 letters with one outside the alphabet", `${"a".repeat(69)}á`],
    [2, "71 of them", `${"a".repeat(70)}á`],
    [2, "134 of them", `${"a".repeat(133)}á`],
    [3, "135 of them", `${"a".repeat(134)}á`],
    [2, "66 emoji: one is never divided", "💪".repeat(66)],
    [3, "67 emoji", "💪".repeat(67)],
    [1, "nothing", ""],
  ])("%i segments for %s", (segments, _, text) => {
    expect(segmentsOf(text)).toBe(segments)
  })
})
