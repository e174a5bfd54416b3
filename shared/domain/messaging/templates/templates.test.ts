import { describe, expect, test } from "vitest"
import {
  faultsOf,
  type MessagePlace,
  PARTS,
  type Template,
  type TemplatePlace,
  type TemplateWords,
  templateFor,
  wordsOf,
} from "./templates.ts"

const ANYWHERE: TemplatePlace = { caseKind: "payment", stage: null, ask: null, channel: null, language: null }
const template = (id: string, place: Partial<TemplatePlace> = {}, version = 1): Template => ({
  ...{ id, version, words: { subject: id } },
  ...ANYWHERE,
  ...place,
})
const MESSAGE: MessagePlace = {
  caseKind: "payment",
  stage: "first",
  ask: "update_card",
  channel: "email",
  language: "de",
}

describe("which template is used", () => {
  test.each<[string, readonly Template[], string | null]>([
    ["none: the shipped words", [], null],
    ["one for everything", [template("all")], "all"],
    ["not one of another kind of case", [template("other", { caseKind: "cancellation" })], null],
    ["not one of another stage", [template("other", { stage: "last" })], null],
    ["not one of another ask", [template("other", { ask: "try_again" as never })], null],
    ["not one of another channel", [template("other", { channel: "sms" })], null],
    ["not one of another language", [template("other", { language: "fr" })], null],
    ["the one for the language before the one for all", [template("all"), template("de", { language: "de" })], "de"],
    [
      "the one for the stage before the one for the language",
      [template("de", { language: "de" }), template("first", { stage: "first" })],
      "first",
    ],
    [
      "the one for the ask before the one for the stage",
      [template("first", { stage: "first" }), template("card", { ask: "update_card" })],
      "card",
    ],
    [
      "the one for the channel before the one for the ask",
      [template("email", { channel: "email" }), template("card", { ask: "update_card" })],
      "email",
    ],
    ["the newer version of two for the same", [template("new", {}, 2), template("old", {}, 1)], "new"],
  ])("%s", (_, templates, expected) => {
    expect(templateFor(templates, MESSAGE)?.id ?? null).toBe(expected)
    expect(templateFor(templates.toReversed(), MESSAGE)?.id ?? null).toBe(expected)
  })
})

describe("what is refused", () => {
  test.each<[string, TemplateWords, string]>([
    ["an unknown field", { ask: "{password}" }, "there is no field “password”; there are brand, firstName, amount"],
    ["a plural of what is no number", { ask: "{amount, plural, other {x}}" }, "only invoiceCount can be counted"],
    ["broken syntax, with its place", { ask: "Pay {amount" }, "expected “,” (at character 12)"],
    ["an address of the web", { opening: "Pay at https://evil.example" }, "it contains an address"],
    ["an address without a scheme", { opening: "Pay at www.evil.example" }, "it contains an address"],
    ["an e-mail address", { opening: "Write to a@evil.example" }, "it contains an address"],
    [
      "a plain domain, which mail programs make a link of",
      { opening: "Pay at evil.example now" },
      "it contains an address",
    ],
    ["a domain of one letter with a path", { opening: "Pay at t.co/x" }, "it contains an address"],
    ["an address without a scheme or a name", { short: "Pay at //evil" }, "it contains an address"],
    ["a field that begins a domain", { opening: "Pay at {brand}.example" }, "it contains an address"],
    [
      "an address that a plural completes",
      { opening: "Pay at https:{invoiceCount, plural, other {//evil/pay}}" },
      "it contains an address",
    ],
    [
      "an address that one form of a plural completes",
      { opening: "Pay at evil{invoiceCount, plural, one {.example} other { now}}" },
      "it contains an address",
    ],
    [
      "an address that two plurals complete, one without the form of the other",
      { opening: "Pay at evil{invoiceCount, plural, one {.} other { }}{invoiceCount, plural, other {example}}" },
      "it contains an address",
    ],
    [
      "a field that begins a domain in a plural",
      { opening: "{invoiceCount, plural, other {Pay at {brand}.example}}" },
      "it contains an address",
    ],
    ["an address that quotes divide", { opening: "Write to a@evil'{'.example" }, "it contains an address"],
    ["two lines", { subject: "one\ntwo" }, "expected one line of plain text"],
    ["invisible characters", { subject: "one\u202etwo" }, "expected one line of plain text"],
    ["nothing but space", { subject: "  " }, "it is empty"],
    ["a subject that is too long", { subject: "x".repeat(121) }, "it is longer than 120 characters"],
    ["a button that is too long", { button: "x".repeat(41) }, "it is longer than 40 characters"],
    ["a short text that is too long", { short: "x".repeat(201) }, "it is longer than 200 characters"],
    ["no words at all", {}, "nothing is worded"],
  ])("%s", (_, words, reason) => {
    const faults = faultsOf(words)
    expect(faults).toHaveLength(1)
    expect(faults[0]?.reason).toContain(reason)
  })

  test.each([
    "Please pay by card, e.g. with another one. Thanks, {brand}.",
    "z.B. mit einer anderen Karte, d.h. bis {endDate}.",
    "U.S. cards and 24/7 help: nothing else.",
    "Costs 19.99 or 1.234,50 — and/or more...",
    "It ends on {endDate}.",
  ])("%j is no address", (opening) => {
    expect(faultsOf({ opening })).toEqual([])
  })

  test("every faulty part is named", () => {
    const words = Object.fromEntries(PARTS.map((part) => [part, "{nothing}"]))
    expect(faultsOf(words).map(({ part }) => part)).toEqual([...PARTS])
    expect(faultsOf({}).map(({ part }) => part)).toEqual(["subject"])
  })

  test("a text of the largest length with every field is accepted", () => {
    const fields = "{brand} {firstName} {amount} {endDate} {nextAttempt} {invoiceCount, plural, other {#}}"
    expect(faultsOf({ opening: fields.padEnd(600, "x"), button: "x".repeat(40), subject: "x".repeat(120) })).toEqual([])
  })
})

describe("the words of a part", () => {
  const own = { words: { subject: "{brand}: {amount}" } }
  test("are written with their values", () => {
    expect(wordsOf(own, "subject", { brand: "Acme", amount: "€1" }, "en")).toBe("Acme: €1")
  })
  test.each([
    ["a field that is not known here", own, "subject"],
    ["a part that is not worded", own, "ask"],
    ["no template", null, "subject"],
    ["words that cannot be read", { words: { subject: "{" } }, "subject"],
  ] as const)("are the shipped ones for %s", (_, one, part) => {
    expect(wordsOf(one, part, { brand: "Acme", amount: null }, "en")).toBeNull()
  })
})
