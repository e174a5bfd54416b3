import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { fieldsOf, parseText, type Text, writeText } from "./syntax.ts"

const parsed = (source: string): Text => {
  const result = parseText(source)
  if (!result.ok) throw new Error(result.fault.reason)
  return result.text
}

const VALUES = { brand: "Acme", amount: "€29.00", endDate: null, invoiceCount: 2 }
const written = (source: string, values: Record<string, string | number | null> = VALUES, locale = "en") =>
  writeText(parsed(source), values, locale)

describe("what is written", () => {
  test.each([
    ["plain text stays", "Your payment failed.", "Your payment failed."],
    ["a field becomes its value", "{brand} could not charge {amount}", "Acme could not charge €29.00"],
    ["space in a field does not matter", "{ brand }", "Acme"],
    ["an apostrophe is one", "We couldn't", "We couldn't"],
    ["two apostrophes are one", "It''s", "It's"],
    ["quoted braces are text", "'{'brand'}'", "{brand}"],
    ["a number sign is text outside of plurals", "# 1", "# 1"],
    ["a plural has the form of its number", "{invoiceCount, plural, one {one} other {# invoices}}", "2 invoices"],
    ["a plural may hold fields", "{invoiceCount, plural, other {# of {brand}}}", "2 of Acme"],
    ["a quoted number sign is text in a plural", "{invoiceCount, plural, other {'#'#}}", "#2"],
    ["a line break stays", "one\ntwo", "one\ntwo"],
    ["no text is no text", "", ""],
  ])("%s", (_, source, expected) => {
    expect(written(source)).toBe(expected)
  })

  test("the form follows the language", () => {
    const source = "{invoiceCount, plural, one {singular} other {plural}}"
    expect(written(source, { invoiceCount: 1 })).toBe("singular")
    expect(written(source, { invoiceCount: 0 })).toBe("plural")
    expect(written(source, { invoiceCount: 0 }, "fr")).toBe("singular")
  })

  test("a form that the text does not have is the form “other”", () => {
    expect(written("{invoiceCount, plural, other {# open}}", { invoiceCount: 1 })).toBe("1 open")
  })

  test("numbers are written in the language", () => {
    expect(written("{invoiceCount, plural, other {#}}", { invoiceCount: 1234 }, "de")).toBe("1.234")
    expect(written("{invoiceCount}", { invoiceCount: 1234 }, "en")).toBe("1,234")
  })

  test.each([
    ["a field without a value", "until {endDate}"],
    ["an unknown field", "{nothing}"],
    ["a plural without a number", "{endDate, plural, other {x}}"],
    ["a field without a value in a plural", "{invoiceCount, plural, other {{endDate}}}"],
  ])("nothing is written for %s", (_, source) => {
    expect(written(source)).toBeNull()
  })
})

test.each([
  ["{", 1, "expected a name"],
  ["{}", 1, "expected a name"],
  ["a }", 2, "a closing brace without an opening one"],
  ["{brand", 6, "expected “,”"],
  ["{brand, number}", 0, "“number” is not supported: only fields and plurals are"],
  ["{n, plural}", 10, "expected “,”"],
  ["{n, plural, }", 0, "a plural needs the form “other”"],
  ["{n, plural, some {x} other {y}}", 12, "“some” is no category of plurals"],
  ["{n, plural, one {x} one {y} other {z}}", 20, "“one” is given twice"],
  ["{n, plural, other {{m, plural, other {x}}}}", 19, "a plural within a plural"],
  ["{n, plural, other {x}", 21, "expected a name"],
  ["{n, plural, other {x", 20, "expected “}”"],
  ["'{ brand", 0, "a quote that does not end"],
  ["{1}", 1, "expected a name"],
])("%s is refused at %i: %s", (source, at, reason) => {
  expect(parseText(source)).toEqual({ ok: false, fault: { at, reason } })
})

test("the fields of a text are those written out and those counted, also within a plural", () => {
  expect(fieldsOf(parsed("{brand} {invoiceCount, plural, one {{amount}} other {#}}"))).toEqual({
    named: new Set(["brand", "amount"]),
    counted: new Set(["invoiceCount"]),
  })
})

test("any text is parsed or refused, never thrown at, and quoted text comes back as it was", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom("{", "}", "'", "#", ",", "a", "plural", "other", " ") }),
      (source) => {
        const result = parseText(source)
        if (result.ok) writeText(result.text, {}, "en")
      },
    ),
  )
  fc.assert(
    fc.property(
      fc.string().filter((text) => !/['{}]/.test(text)),
      (text) => {
        expect(written(text)).toBe(text)
      },
    ),
  )
})
