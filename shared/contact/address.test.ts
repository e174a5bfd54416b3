import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { emailIdentity, normalizeEmail, normalizePhone } from "./address.ts"

describe("an e-mail address", () => {
  test.each([
    ["ada@example.com", "ada@example.com"],
    [" ada@example.com\t", "ada@example.com"],
    ["Ada.Lovelace+pay@EXAMPLE.Com", "Ada.Lovelace+pay@example.com"],
    ["ada@müller.de", "ada@xn--mller-kva.de"],
    ["ada@MÜLLER.de", "ada@xn--mller-kva.de"],
    ["ada@xn--mller-kva.de", "ada@xn--mller-kva.de"],
    ["ada@faß.de", "ada@xn--fa-hia.de"],
    ["ada@例え.jp", "ada@xn--r8jz45g.jp"],
    ["ada@例え。jp", "ada@xn--r8jz45g.jp"],
    ["ada@क्षत्रिय.भारत", "ada@xn--11b4a7ad7a0c8ec.xn--h2brj9c"],
    ["ada@نامه\u200cای.com", "ada@xn--mgba3gch31f060k.com"],
    ["josé@example.com", "josé@example.com"],
    ["o'neil@mail.example.co.uk", "o'neil@mail.example.co.uk"],
  ])("%j is sent to as %s", (address, expected) => {
    expect(normalizeEmail(address)).toBe(expected)
    expect(normalizeEmail(expected)).toBe(expected)
  })

  test.each([
    "",
    "ada",
    "@example.com",
    "ada@",
    "ada@localhost",
    "ada@example..com",
    "ada@example.com.",
    "ada@-example.com",
    "ada@xn--a.de",
    "ada@1.2.3.4",
    "ada@[1.2.3.4]",
    "ada@example.com:25",
    "ada@example.com/x",
    "ada@ex%61mple.com",
    "ada@a@example.com",
    "a b@example.com",
    "a@example.com,b@example.com",
    "a@example.com\r\nBcc:b@c.de",
    "<a@b.de>",
    `${"a".repeat(65)}@b.de`,
    `a@${"b".repeat(64)}.de`,
    `a@${"b.".repeat(130)}de`,
  ])("%j is no address", (address) => {
    expect(normalizeEmail(address)).toBeNull()
  })

  test("has one identity, whatever its spelling", () => {
    expect(emailIdentity(" Ada@MÜLLER.de")).toBe("ada@xn--mller-kva.de")
    expect(emailIdentity("ada")).toBeNull()
  })

  test("is ASCII after the @, or nothing, whatever the text", () => {
    const text = fc.string({ unit: fc.constantFrom(..."aé例.@-_ %:/\u200c\u00ad。x") })
    fc.assert(
      fc.property(text, (address) => {
        const sent = normalizeEmail(address)
        if (sent === null) return
        expect(sent).toMatch(/^[^@\s]+@[a-z0-9_.-]+$/)
        expect(normalizeEmail(sent)).toBe(sent)
      }),
      { numRuns: 500 },
    )
  })
})

describe("a phone number", () => {
  test.each([
    ["+491701234567", [], "+491701234567"],
    ["+49 (0)170 1234567", [], "+491701234567"],
    ["+1 (202) 555-0143", ["DE"], "+12025550143"],
    ["tel:+12025550143", [], "+12025550143"],
    ["0170 1234567", ["DE"], "+491701234567"],
    ["0170/123 45 67", ["de"], "+491701234567"],
    ["0049 170 1234567", ["DE"], "+491701234567"],
    ["(202) 555-0143", ["US"], "+12025550143"],
    ["1-202-555-0143", ["US"], "+12025550143"],
    ["07700 900123", ["GB"], "+447700900123"],
    ["06 12 34 56 78", ["FR"], "+33612345678"],
    ["06 698 12345", ["IT"], "+390669812345"],
    ["011 15 1234-5678", ["AR"], "+5491112345678"],
    ["8 (912) 345-67-89", ["RU"], "+79123456789"],
    ["(11) 91234-5678", ["BR"], "+5511912345678"],
    ["٠٥٠١٢٣٤٥٦٧", ["SA"], "+966501234567"],
    ["07700 900123", [null, undefined, "", "Atlantis", "GB", "DE"], "+447700900123"],
  ] as const)("%j of %j is %s", (phone, countries, expected) => {
    expect(normalizePhone(phone, countries)).toBe(expected)
  })

  test.each([
    ["0170 1234567", []],
    ["0170 1234567", [null, "XX", "Germany"]],
    ["", ["DE"]],
    ["none", ["DE"]],
    ["+0170", ["DE"]],
    ["+999 12345678", []],
    ["+4917", []],
    ["911", ["US"]],
    ["00000000000", ["DE"]],
    ["+49 170 1234567 or ask Ada", []],
    ["+1 202 555 0143 ext. 5", []],
    ["+49".padEnd(60, "1"), []],
  ] as const)("%j of %j is no number", (phone, countries) => {
    expect(normalizePhone(phone, countries)).toBeNull()
  })

  test("is E.164 or nothing, whatever the text", () => {
    const text = fc.string({ unit: fc.constantFrom(..."0123456789+ -()/x"), maxLength: 30 })
    fc.assert(
      fc.property(text, fc.constantFrom(...["DE", "US", "GB", null]), (phone, country) => {
        const number = normalizePhone(phone, [country])
        if (number === null) return
        expect(number).toMatch(/^\+[1-9]\d{6,14}$/)
        expect(normalizePhone(number, [])).toBe(number)
      }),
      { numRuns: 1_000 },
    )
  })
})
