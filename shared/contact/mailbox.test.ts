import { expect, test } from "vitest"
import { parseMailbox } from "./mailbox.ts"

test.each([
  ["pay@acme.example", { email: "pay@acme.example" }],
  ["Acme <pay@acme.example>", { email: "pay@acme.example", name: "Acme" }],
  ['"Acme GmbH" <pay@acme.example>', { email: "pay@acme.example", name: "Acme GmbH" }],
  [" <pay@acme.example>", { email: "pay@acme.example" }],
  ["Bücher <rechnung@bücher.example>", { email: "rechnung@xn--bcher-kva.example", name: "Bücher" }],
])("%s is a sender", (text, mailbox) => {
  expect(parseMailbox(text)).toEqual(mailbox)
})

test.each([
  "",
  "Acme",
  "pay@acme",
  "pay@127.0.0.1",
  "Acme <pay@acme>",
  "Acme <pay@acme.example",
  "a@acme.example, b@acme.example",
  "Acme\r\nBcc: x <pay@acme.example>",
  "pay@acme.example>",
])("no message is sent from %j", (text) => {
  expect(parseMailbox(text)).toBeNull()
})
