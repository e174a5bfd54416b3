import { describe, expect, test } from "vitest"
import { brandOf, emailOf, escapeHtml, oneLine, truncate, webLink } from "./clean.ts"

describe("a text is truncated", () => {
  test.each([
    ["not, if it fits", "Ada Fit", 7, "Ada Fit"],
    ["with an ellipsis that counts", "Ada Fitness", 7, "Ada Fi…"],
    ["without a space before the ellipsis", "Ada Fitness", 5, "Ada…"],
    ["between characters, never inside one", "💪💪💪💪", 3, "💪💪…"],
    ["and fits by characters, not by units", "💪💪💪", 3, "💪💪💪"],
    ["with the joiners before its end", "می\u200cخواهمخواهم", 6, "می\u200cخو…"],
    ["without a joiner at its end", "می\u200c\u200dخواهم", 5, "می…"],
  ])("%s", (_, text, lengthMax, expected) => {
    expect(truncate(text, lengthMax)).toBe(expected)
  })
})

describe("a text becomes one line of what is visible", () => {
  test.each([
    ["line breaks and controls are one space", "Ada\r\n\t \u0000\u0007Fitness", "Ada Fitness"],
    ["line separators too", "Ada\u2028\u2029Fitness", "Ada Fitness"],
    ["every kind of space is a plain one", "Ada\u00a0\u2003\u3000Fitness", "Ada Fitness"],
    ["a blank Braille cell is a space", "Ada\u2800Fitness", "Ada Fitness"],
    ["spaces around it are dropped", "  Ada ", "Ada"],
    ["direction marks are dropped", "Ada\u202egnp.exe", "Adagnp.exe"],
    ["invisible characters are dropped", "A\u200bd\u00ada\ufeff\u115f\ue000\u{e0041}", "Ada"],
    ["and leave no double space", "Ada \u200b Fitness", "Ada Fitness"],
    ["replacement characters are dropped, as are halves of a pair", "A\ufffdd\ud800a", "Ada"],
    ["four marks on a letter are kept", "a\u0330\u0331\u0332\u0333", "a\u0330\u0331\u0332\u0333"],
    ["more marks are dropped", "a\u0330\u0331\u0332\u0333\u0324\u0325b", "a\u0330\u0331\u0332\u0333b"],
    [
      "on every letter",
      "a\u0330\u0331\u0332\u0333\u0324b\u0330\u0331\u0332\u0333\u0324",
      "a\u0330\u0331\u0332\u0333b\u0330\u0331\u0332\u0333",
    ],
  ])("%s", (_, text, expected) => {
    expect(oneLine(text, 100)).toBe(expected)
  })

  test("of a length, from no more than its first thousand characters", () => {
    expect(oneLine("Ada Fitness", 5)).toBe("Ada…")
    expect(oneLine(`${" ".repeat(999)}Ada`, 100)).toBe("A")
  })
})

describe("a joiner", () => {
  test.each([
    ["stays between Arabic letters", "می\u200cخواهم"],
    ["stays after the first letter", "م\u200cم"],
    ["stays after an Arabic letter outside the basic plane", "𞸀\u200c𞸁"],
    ["is no space between them, which is invisible", "م\u200bم", "مم"],
    ["stays between Indic letters", "क्\u200dष"],
    ["stays after a letter outside the basic plane", "𑁍\u200d𑁍", "𑁍𑁍"],
    ["is dropped between Latin letters", "A\u200dd\u200ca", "Ada"],
    ["is dropped between an Arabic and a Latin letter", "م\u200dA", "مA"],
    ["is dropped between a Latin and an Arabic letter", "A\u200dم", "Aم"],
    ["is dropped at the end", "می\u200c", "می"],
    ["is dropped at the beginning", "\u200cمی", "می"],
    ["is dropped before a space", "می\u200c می", "می می"],
    ["is dropped before a digit or a mark of punctuation", "م\u200c؟", "م؟"],
    ["stays in a family of emoji", "👩\u200d👩\u200d👧"],
    ["stays after an emoji with a skin tone", "👩🏽\u200d🚀"],
    ["stays after an emoji with a variation selector", "🏳️\u200d🌈"],
    ["stays before a sign of a profession", "👩\u200d⚕️"],
    ["stays before a sign of a sex", "🏃\u200d♀️"],
    ["is dropped after a letter that follows an emoji", "👩A\u200d👧", "👩A👧"],
    ["is dropped before a letter that precedes an emoji", "👩\u200dA👧", "👩A👧"],
    ["is dropped between an emoji and a letter", "👩\u200dA", "👩A"],
    ["is dropped between a letter and an emoji", "A\u200d👩", "A👩"],
    ["that does not join is dropped between emoji", "👩\u200c👧", "👩👧"],
  ])("%s", (_, text, expected = text) => {
    expect(oneLine(text, 100)).toBe(expected)
  })

  test("may follow a long text, of which only the last characters matter", () => {
    const text = `${"x".repeat(50)} 👩\u200d👧 ${"x".repeat(50)}`
    expect(oneLine(text, 200)).toBe(text)
    expect(oneLine("\u200d👧", 100)).toBe("👧")
  })
})

describe("a variation selector", () => {
  test.each([
    ["stays after an emoji", "❤\ufe0f"],
    ["stays where it asks for text", "❤\ufe0e"],
    ["is dropped after a letter", "A\ufe0f", "A"],
    ["is dropped after a letter that follows an emoji", "❤A\ufe0f", "❤A"],
    ["is dropped at the beginning", "\ufe0eA", "A"],
  ])("%s", (_, text, expected = text) => {
    expect(oneLine(text, 100)).toBe(expected)
  })
})

describe("a brand", () => {
  test.each([
    ["keeps its punctuation", "Booking.com & Co. (Berlin) #1 50% a/b", "Booking.com & Co. (Berlin) #1 50% a/b"],
    ["loses what could be mark-up", "<b>[Acme]{x}|`y`", "b Acme x y"],
    ["has at most 60 characters", "A".repeat(61), `${"A".repeat(59)}…`],
    ["may be an emoji", "💪", "💪"],
    ["may be a digit", "3", "3"],
    ["is none if it has no letter, digit or emoji", "!!! -- ?", ""],
    ["is none if it is empty", "", ""],
  ])("%s", (_, name, expected) => {
    expect(brandOf(name)).toBe(expected)
  })

  test.each([
    ["https://evil.example", "https evil example"],
    ["evil: /login", "evil login"],
    ["evil:/login.x", "evil login x"],
    ["WWW.evil", "WWW evil"],
    ["//evil.example/x", "evil example x"],
    ["evil\\x", "evil x"],
    ["x@evil.example", "x evil example"],
    ["http: x.y", "http x y"],
    ["https : x.y", "https x y"],
    ["mailto:x.y", "mailto x y"],
    ["JavaScript:x.y", "JavaScript x y"],
    ["vbscript:x.y", "vbscript x y"],
    ["data:x.y", "data x y"],
    ["file:x.y", "file x y"],
    ["ftp:x.y", "ftp x y"],
    ["tel:1.2", "tel 1 2"],
    ["sms:1.2", "sms 1 2"],
    ['[x](mailto:a){b}*_~|`^=;"#', "x mailto a b"],
  ])("that looks like a link is words: %s", (name, expected) => {
    expect(brandOf(name)).toBe(expected)
  })

  test.each(["Yoga@Home", "a:b.c", "hotel: x.y", "wwwy.z", "a / b. c"])("that does not stays as it is: %s", (name) => {
    expect(brandOf(name)).toBe(name)
  })
})

describe("a support address", () => {
  test.each([
    "help@acme.example",
    "a.b+c_d-e@mail.acme.co.uk",
    "o'neil@x1.example",
    `${"a".repeat(242)}@acme.example`.slice(-254),
  ])("is shown: %s", (address) => {
    expect(emailOf(address)).toBe(address)
  })

  test.each([
    null,
    "",
    "help",
    "help@acme",
    "@acme.example",
    "help@.example",
    "help@acme.",
    "help@acme..example",
    "help @acme.example",
    "help@acme.example ",
    "<help@acme.example>",
    "help@acme.example\nBcc: x@evil.example",
    "help@acme.example/evil",
    `${"a".repeat(242)}@acme.example`,
  ])("is not shown: %j", (address) => {
    expect(emailOf(address)).toBeNull()
  })
})

describe("our own link", () => {
  test.each([
    ["https://pay.example.com/r/a", "https://pay.example.com/r/a"],
    ["http://localhost:8787/r/a", "http://localhost:8787/r/a"],
    ["https://pay.example.com", "https://pay.example.com/"],
    ["https://pay.example.com/a b'c\"", "https://pay.example.com/a%20b%27c%22"],
  ])("%s is written %s", (link, expected) => {
    expect(webLink(link)).toBe(expected)
  })

  test.each(["javascript:alert(1)", "mailto:a@b.example", "ftp://a.example", "no link"])("%s is our bug", (link) => {
    expect(() => webLink(link)).toThrow(TypeError)
  })
})

test("text in HTML has no mark-up and no end of a quoted attribute", () => {
  expect(escapeHtml(`<a href="x" id='y'>&amp;</a>`)).toBe(
    "&lt;a href=&quot;x&quot; id=&#39;y&#39;&gt;&amp;amp;&lt;/a&gt;",
  )
})
