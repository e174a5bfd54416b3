/** Messages in a company's own words: which parts they replace, and what their fields say. */
import { describe, expect, test } from "vitest"
import { LINK, NUDGE } from "../../../test/support/events/message.ts"
import { type NudgeInput, type RenderedNudge, renderNudge } from "./messages.ts"
import type { Template, TemplateWords } from "./templates/templates.ts"

const WORDS: TemplateWords = {
  subject: "Own subject",
  opening: "Own opening.",
  ask: "Own request.",
  button: "Own button",
  short: "Own short text:",
}
const TEMPLATE: Template = {
  ...{ id: "own", version: 3, words: WORDS },
  ...{ caseKind: "payment", stage: null, ask: null, channel: null, language: null },
}

function render(template: Partial<Template>, change: Partial<NudgeInput> = {}): RenderedNudge {
  const rendered = renderNudge({ ...NUDGE, templates: [{ ...TEMPLATE, ...template }], ...change })
  if (rendered === null) throw new Error("no message")
  return rendered
}

/** The message with what is always the same in an e-mail: greeting, outcome, help and reason. */
const emailIn = ([opening, ask, button]: readonly string[]) => [
  "Hi Ada,",
  ...[opening, ask, `${button}: ${LINK}`],
  "Once it has been paid, nothing changes for you.",
  "Questions? Write to us at help@acme.example.",
  "You receive this message because you have a subscription with Acme Fitness.\n",
]

describe("a company's own words", () => {
  test("replace subject, opening, request and button of an e-mail, in text and HTML, and nothing else", () => {
    const { subject, text, html } = render({})
    expect(subject).toBe("Own subject")
    expect(text.split("\n\n")).toEqual(emailIn(["Own opening.", "Own request.", "Own button"]))
    for (const part of ["<title>Own subject", ">Own opening.<", ">Own request.<", ">Own button<"])
      expect(html).toContain(part)
  })

  test("replace the sentence of a short message, and not who sends it, the link and the way to stop", () => {
    expect(render({}, { channel: "push" }).text).toBe(`Acme Fitness: Own short text: ${LINK}`)
    expect(render({}, { channel: "sms" }).text).toBe(`Acme Fitness: Own short text: ${LINK} Reply STOP to opt out.`)
  })

  test("leave each part that they do not word as shipped", () => {
    for (const channel of ["email", "push"] as const) {
      const shipped = renderNudge({ ...NUDGE, channel })
      expect(render({ words: {} }, { channel })).toMatchObject({ ...shipped, template: { id: "own" } })
    }
    const { subject, text } = render({ words: { ask: "Own request." } })
    expect(subject).toBe("Your payment to Acme Fitness did not go through")
    expect(text).toContain("Own request.\n\nCheck payment details: ")
  })

  test("are named with the message, by version and, in a comparison, by variant", () => {
    expect(render({}).template).toEqual({ id: "own", version: 3 })
    expect(render({ variant: "short" }).template).toEqual({ id: "own", version: 3, variant: "short" })
    expect(render({ caseKind: "at_risk" }).template).toBeNull()
  })
})

describe("a field says", () => {
  /** The opening of an e-mail whose company words it with this field; null: it is the shipped one. */
  function openingWith(field: string, change: Partial<NudgeInput> = {}): string | null {
    const { text } = render({ words: { opening: `Own: ${field}` } }, change)
    return /^Own: (.*)$/m.exec(text)?.[1] ?? null
  }

  test.each<[string, string, Partial<NudgeInput>, string | null]>([
    ["the brand", "{brand}", {}, "Acme Fitness"],
    ["the first name", "{firstName}", {}, "Ada"],
    ["no first name where none is known", "{firstName}", { name: null }, null],
    ["the amount", "{amount}", {}, "$19.99"],
    ["the end of the subscription", "{endDate}", { endsAt: "2027-10-26T12:00:00.000Z" }, "October 26, 2027"],
    ["the next attempt", "{nextAttempt}", { nextAttemptAt: "2026-12-03T10:00:00.000Z" }, "December 3, 2026"],
    ["no next attempt where none is planned", "{nextAttempt}", { nextAttemptAt: null }, null],
    ["no next attempt that is now", "{nextAttempt}", { nextAttemptAt: NUDGE.now }, null],
    ["one invoice where only this one is known", "{invoiceCount}", {}, "1"],
    ["all open invoices", "{invoiceCount}", { bills: { invoiceCount: 3, totals: [] } }, "3"],
  ])("%s", (_, field, change, expected) => {
    expect(openingWith(field, change)).toBe(expected)
  })

  test("nothing in a short message without room for it: then the shipped sentence is used", () => {
    const words = {
      short: "Please pay {amount} today, as you agreed with Ben at the front desk when you joined our club last year:",
    }
    const textWith = (length: number) => render({ words }, { channel: "sms", link: LINK.padEnd(length, "x") }).text
    expect(textWith(150)).toContain("Please pay $19.99 today")
    expect(textWith(190)).toMatch(/Your payment did not go through/)
  })
})

describe("a template for one request is used", () => {
  const isUsed = (template: Partial<Template>, change: Partial<NudgeInput>) =>
    render(template, change).template !== null

  test.each<[string, Partial<NudgeInput>, boolean]>([
    ["where it is what the member is asked for", { ask: "update_card" }, true],
    ["where the reason of the failure is not known: then members are asked to check the card", { ask: null }, true],
    ["not for another request", { ask: "call_bank" }, false],
    ["not for an invoice that the member pays manually", { ask: "update_card", collection: "manual" }, false],
  ])("%s", (_, change, expected) => {
    expect(isUsed({ ask: "update_card" }, change)).toBe(expected)
  })

  test("not for a cancellation, which has no request", () => {
    expect(isUsed({ caseKind: "cancellation", ask: "update_card" }, { caseKind: "cancellation" })).toBe(false)
    expect(isUsed({ caseKind: "cancellation" }, { caseKind: "cancellation" })).toBe(true)
  })
})
