import fc from "fast-check"
import { expect, test } from "vitest"
import { pageTextsFor } from "./i18n.ts"

test.each([
  [undefined, "en"],
  ["", "en"],
  ["de", "de"],
  ["de-AT,de;q=0.9,en;q=0.8", "de"],
  ["nl,fr;q=0.5,en;q=0.4", "fr"],
  ["en;q=0.3, es-MX;q=0.9", "es"],
  ["de;q=0, en", "en"],
  ["ja, *;q=0.5", "en"],
  ["constructor, __proto__", "en"],
])("%s is answered in %s", (header, language) => {
  expect(pageTextsFor(header).language).toBe(language)
})

test("any header gives texts", () => {
  fc.assert(fc.property(fc.string(), (header) => pageTextsFor(header).done.title !== ""))
})
