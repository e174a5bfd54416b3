import { describe, expect, test } from "vitest"
import { type EmailParts, emailHtml } from "./email-html.ts"

const parts: EmailParts = {
  language: "de",
  subject: "Subject & more",
  preheader: "Preheader & more",
  brand: "AT&T",
  paragraphs: ["First <p>", "Second"],
  button: "Pay > now",
  link: "https://pay.example.com/r/a?b=1&c=2",
  linkHint: "Or open <this>:",
  footer: "Why & how",
  unsubscribe: { text: "Stop & go", url: "https://pay.example.com/stop?a=1&b=2" },
}
const LINK = "https://pay.example.com/r/a?b=1&amp;c=2"

/** The elements with content, each as its tag and its text. */
const elementsOf = (html: string, tag: string) =>
  [...html.matchAll(new RegExp(`<${tag}(?: [^>]*)?>(.*?)</${tag}>`, "gs"))].map((match) => match[1])
const stylesOf = (html: string, tag: string) =>
  [...html.matchAll(new RegExp(`<${tag} [^>]*style="([^"]*)"`, "g"))].map((match) => match[1] ?? "")

describe("an e-mail", () => {
  test("is a whole document in its language, for light and dark screens", () => {
    const html = emailHtml(parts)
    expect(html).toMatch(/^<!doctype html>\n<html lang="de">\n<head>\n<meta charset="utf-8">\n/)
    expect(html).toContain('<meta name="color-scheme" content="light dark">')
    expect(html).toMatch(/<\/body>\n<\/html>\n$/)
    expect(elementsOf(html, "title")).toEqual(["Subject &amp; more"])
  })

  test("has its parts in order, each escaped", () => {
    const html = emailHtml(parts)
    expect(elementsOf(html, "p")).toEqual([
      "AT&amp;T",
      "First &lt;p&gt;",
      "Second",
      expect.stringContaining(">Pay &gt; now</a>"),
      expect.stringMatching(/^Or open &lt;this&gt;:<br>/),
      "Why &amp; how",
      expect.stringContaining(">Stop &amp; go</a>"),
    ])
  })

  test("has the paragraphs on lines of their own", () => {
    const html = emailHtml(parts)
    expect(html).toMatch(/>First &lt;p&gt;<\/p>\n<p [^>]*>Second<\/p>\n/)
  })

  test("has the link as a button and as text, and the way to unsubscribe", () => {
    const html = emailHtml(parts)
    const links = [...html.matchAll(/<a href="([^"]*)"[^>]*>([^<]*)</g)].map((match) => [match[1], match[2]])
    expect(links).toEqual([
      [LINK, "Pay &gt; now"],
      [LINK, LINK],
      ["https://pay.example.com/stop?a=1&amp;b=2", "Stop &amp; go"],
    ])
  })

  test("shows the preheader in the inbox and not in the text", () => {
    const html = emailHtml(parts)
    expect(html).toMatch(/<body[^>]*>\n<div style="display:none;[^"]*">Preheader &amp; more<\/div>/)
  })

  test("has a font and a size in every paragraph, and colours of its own on the button alone", () => {
    const look = { logo: null, colours: null, signature: ["Ada"], postalAddress: ["12 Main St"] }
    const html = emailHtml({ ...parts, look })
    for (const style of stylesOf(html, "p").filter((style) => style !== "margin:24px 0")) {
      expect(style).toMatch(/^font-family:.*;font-size:\d+px;/)
    }
    expect(stylesOf(html, "a").map((style) => /background-color:#\w+;color:#\w+/.test(style))).toEqual([
      true,
      false,
      false,
    ])
    expect(stylesOf(html, "a")[0]).toMatch(/^font-family:/)
  })

  test("has no way to unsubscribe where there is none, and an empty line in its place", () => {
    const without = emailHtml({ ...parts, unsubscribe: null })
    expect(without).not.toContain("Stop")
    expect(without).toContain(">Why &amp; how</p>\n\n</div>")
  })
})
