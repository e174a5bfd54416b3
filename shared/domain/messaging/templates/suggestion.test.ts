import { expect, test } from "vitest"
import { type SuggestionInput, suggestionPrompt } from "./suggestion.ts"
import { FIELDS, PART_CHARS_MAX } from "./templates.ts"

const INPUT: SuggestionInput = {
  ...{ caseKind: "payment", stage: "last", ask: "update_card", channel: "email", language: "de" },
  words: { subject: "{brand}: {amount}", ask: "Bitte, {firstName}." },
  voice: "warm",
}

/** All that a prompt may be made from. A new field of the input is decided here: none may hold a member's data. */
const KNOWN = ["caseKind", "stage", "ask", "channel", "language", "words", "voice"]

test("the model is told the template and the voice, and nothing else", () => {
  expect(Object.keys(INPUT).sort()).toEqual(KNOWN.toSorted())
  expect(JSON.parse(suggestionPrompt(INPUT).user)).toEqual({
    message: {
      about: "an automatic payment of the member failed, and the member should pay or change the card",
      stage: "last",
      asksFor: "update_card",
      channel: "email",
      language: "de",
    },
    currentWords: { subject: "{brand}: {amount}", ask: "Bitte, {firstName}." },
    voice: "warm",
    charactersMax: PART_CHARS_MAX,
  })
})

test("whatever else the caller has is not passed on", () => {
  const more = { ...INPUT, name: "Ada Example", email: "ada@example.com", words: { ...INPUT.words, secret: "cus_1" } }
  const { system, user } = suggestionPrompt(more)
  for (const text of ["Ada", "ada@example.com", "cus_1"]) expect(`${system}${user}`).not.toContain(text)
})

test("what is not stated is any, and the voice is plain", () => {
  const any = { stage: null, ask: null, channel: null, language: null, words: {}, voice: null }
  const request = JSON.parse(suggestionPrompt({ caseKind: "at_risk", ...any }).user)
  expect(request).toMatchObject({ message: { stage: "any", asksFor: "any", channel: "any" }, currentWords: {} })
  expect(request.voice).toBe("plain and friendly")
  expect(request.message.language).toContain("of the current words")
})

test("the task names every field and every part", () => {
  const { system } = suggestionPrompt(INPUT)
  for (const field of FIELDS) expect(system).toContain(`{${field}}`)
  for (const part of Object.keys(PART_CHARS_MAX)) expect(system).toContain(part)
})
