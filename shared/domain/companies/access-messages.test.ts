import { expect, test } from "vitest"
import { renderInvitation, renderSignInLink } from "./access-messages.ts"

const LINK = "https://app.example/dashboard/sign-in/acme.token"

test("the link is in the text and in the HTML, with the company and how long it works", () => {
  const { subject, text, html } = renderSignInLink({ companyName: "Ada & Co", link: LINK, validMinutes: 15 })
  expect(subject).toBe("Sign in to Ada & Co")
  for (const part of [text, html ?? ""]) expect(part).toContain(LINK)
  expect(text).toContain("15 minutes")
  expect(html).toContain("Ada &amp; Co")
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
