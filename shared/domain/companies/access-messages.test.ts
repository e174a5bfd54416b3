import { describe, expect, test } from "vitest"
import type { Rendered } from "../messaging/messages.ts"
import { renderInvitation, renderSignInLink } from "./access-messages.ts"

const LINK = "https://app.example/dashboard/sign-in/acme.token"

test("the link is in the text and in the HTML, with the company and how long it works", () => {
  const { subject, text, html } = renderSignInLink({ companyName: "Ada & Co", link: LINK, validMinutes: 15 })
  expect(subject).toBe("Sign in to Ada & Co")
  for (const part of [text, html ?? ""]) expect(part).toContain(LINK)
  expect(text).toContain("15 minutes")
  expect(html).toContain("Ada &amp; Co")
})

describe.each([
  ["an invitation", () => renderInvitation({ companyName: "Acme", signInUrl: LINK })],
  ["a link to sign in", () => renderSignInLink({ companyName: "Acme", link: LINK, validMinutes: 15 })],
])("%s", (_, render) => {
  function partsOf({ text, html }: Rendered) {
    const blocks = text.split("\n\n")
    const [button, link] = (blocks.at(-2) ?? "").split(": ")
    return { paragraphs: blocks.slice(0, -2), button, link, footer: blocks.at(-1), html: html ?? "" }
  }

  test("says what to do in whole sentences, then the link, then why it was sent", () => {
    const { paragraphs, button, link, footer } = partsOf(render())
    expect(paragraphs[0]).toContain("dashboard of Acme")
    for (const block of [...paragraphs, footer]) expect(block).toMatch(/^[A-Z].*\.$/)
    expect([button, link]).toEqual([expect.stringMatching(/sign/i), LINK])
  })

  test("says the same as HTML: from us, in English, and with the address for those whose button does not work", () => {
    const { paragraphs, button, footer, html } = partsOf(render())
    const hint = expect.stringMatching(/^[A-Z].*address:$/)
    const shown = html.match(/(?<=<(?:p|a) [^>]*>)[^<]+/g)
    expect(shown).toEqual(["Churn Saver", ...paragraphs, button, hint, LINK, footer])
    expect(html).toContain('<html lang="en">')
    expect(html.match(/(?<=<div style="display:none[^>]*>)[^<]*/)?.[0]).toBe(paragraphs[0])
  })
})

test("a company's name that is markup or a link is plain text, and one without letters is left out", () => {
  const companyName = "<script>https://evil.example</script>"
  const { subject, text, html } = renderInvitation({ companyName, signInUrl: "https://app.example/dashboard/sign-in" })
  for (const part of [subject, text, html ?? ""]) expect(part).not.toMatch(/<script|https:\/\/evil/)
  expect(renderInvitation({ companyName: "…", signInUrl: LINK }).subject).toBe(
    "You are invited to the dashboard of Churn Saver",
  )
})

test("nothing but http(s) is a link", () => {
  expect(() => renderSignInLink({ companyName: "A", link: "javascript:alert(1)", validMinutes: 15 })).toThrow(TypeError)
})
