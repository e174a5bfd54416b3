/** What a company may choose, which version members see, and e-mails with it. */
import { describe, expect, test } from "vitest"
import { LINK, NUDGE } from "../../../test/support/events/message.ts"
import { type BrandingVersion, linesFault, replyToFault, shownBranding } from "./branding.ts"
import { escapeHtml } from "./messages/clean.ts"
import { type Branding, lookOf } from "./messages/look.ts"
import { type NudgeInput, renderNudge } from "./messages.ts"

const BRANDING: Branding = {
  logo: { id: "a".repeat(64), type: "image/png", width: 480, height: 96 },
  accent: "#ffd400",
  signature: "Warm regards\nYour Acme team",
  replyTo: "help@acme.example",
  postalAddress: "Acme Fitness Inc.\n12 Main St\nSpringfield, IL 62701",
}
const BASE = "https://pay.example.com"

const version = (number: number, isApproved: boolean): BrandingVersion => ({
  version: number,
  branding: BRANDING,
  isApproved,
})

describe("the version that members see", () => {
  const [first, second] = [version(1, true), version(2, false)]

  test("is the newest where the sender is trusted", () => {
    expect(shownBranding({ newest: second, approved: first }, true)).toBe(second)
    expect(shownBranding({ newest: second, approved: null }, true)).toBe(second)
  })

  test("is the last approved one where it is not", () => {
    expect(shownBranding({ newest: second, approved: first }, false)).toBe(first)
    expect(shownBranding({ newest: second, approved: null }, false)).toBeNull()
  })

  test("is none before the first save", () => {
    for (const isTrusted of [true, false]) expect(shownBranding({ newest: null, approved: null }, isTrusted)).toBeNull()
  })
})

describe("a signature or a postal address", () => {
  test.each([
    "Your Acme team",
    "Warm regards,\r\nAda & Ben",
    "12 Main St.\nSpringfield, IL 62701",
    "Straße 5\n8001 Zürich",
    "z. B. hier",
    // Exactly the largest: 6 lines, 120 characters in one of them, 400 in all.
    ["x".repeat(120), "a", "b", "c", "d", "e"].join("\n"),
    ["x".repeat(120), "x".repeat(120), "x".repeat(120), "x".repeat(37)].join("\n"),
  ])("%j is accepted", (text) => {
    expect(linesFault(text)).toBeNull()
  })

  test.each([
    ["", "it is empty"],
    [" \n\t", "it is empty"],
    ["x".repeat(401), "it is longer than 400 characters"],
    ["a\n".repeat(6), "it has more than 6 lines"],
    ["x".repeat(121), "a line is longer than 120 characters"],
    [`Acme\n${"x".repeat(121)}`, "a line is longer than 120 characters"],
    ["a\u0000b", "expected plain text"],
    ["a\u202eb", "expected plain text"],
    ["Acme\na\u202eb", "expected plain text"],
    ["Visit https://evil.example", "it contains a link or an e-mail address"],
    ["Acme\nVisit https://evil.example", "it contains a link or an e-mail address"],
    ["evil.example/pay", "it contains a link or an e-mail address"],
    ["write to a@evil.example", "it contains a link or an e-mail address"],
  ])("%j is refused", (text, reason) => {
    expect(linesFault(text)).toBe(reason)
  })
})

describe("a reply address", () => {
  test("is an e-mail address", () => {
    expect(replyToFault("help@acme.example")).toBeNull()
  })

  test.each([
    "help",
    "a@b.example\r\nBcc: c@d.example",
    "a@b.example, c@d.example",
    "Ada <a@b.example>",
    "javascript:alert(1)@b.example\u0000",
    `${"a".repeat(250)}@b.example`,
  ])("%j is refused", (address) => {
    expect(replyToFault(address)).toBe("expected an e-mail address")
  })
})

const KINDS = ["payment", "cancellation", "at_risk"] as const
const LOCALES = ["en", "de", "fr", "es"]
const messages = KINDS.flatMap((caseKind) =>
  LOCALES.flatMap((locale) => [0, 2, 4].map((step): Partial<NudgeInput> => ({ caseKind, locale, step }))),
)

/** An e-mail with this branding. */
function email(branding: Branding | null, change: Partial<NudgeInput> = {}) {
  const look = branding && lookOf(branding, "acme", BASE)
  const rendered = renderNudge({ ...NUDGE, unsubscribeUrl: `${BASE}/unsubscribe/x`, look, ...change })
  if (rendered?.html === null || rendered === null) throw new Error("no e-mail")
  return { ...rendered, html: rendered.html }
}

/** The text of an HTML document's body, in its order. */
const textOf = (html: string): string =>
  html
    .replace(/^.*<body[^>]*>/s, "")
    .replaceAll(/<br>/g, "\n")
    .replaceAll(/<[^>]*>/g, " ")
    .replaceAll("&#39;", "'")
    .replaceAll("&quot;", '"')
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&amp;", "&")

describe("an e-mail with branding", () => {
  test.each(messages)("says the same in both parts: %j", (change) => {
    for (const branding of [BRANDING, null]) {
      const { text, html } = email(branding, change)
      const shown = textOf(html)
      for (const line of text.split("\n").filter((each) => each !== "")) {
        // The links are in attributes, except the first, which is shown too.
        const [words] = line.split(/: https/)
        expect(shown).toContain(words)
      }
      for (const own of ["Your Acme team", "12 Main St"]) {
        expect([own, text.includes(own), html.includes(own)]).toEqual([own, branding !== null, branding !== null])
      }
    }
  })

  test("ends its text with signature, reason, way to unsubscribe and postal address, in this order", () => {
    const { text } = email(BRANDING)
    const places = [
      "Warm regards\nYour Acme team\n\n",
      "You receive this message",
      `${BASE}/unsubscribe/x\n\n`,
      "Acme Fitness Inc.\n12 Main St",
    ]
    expect(places.map((part) => text.indexOf(part))).toEqual(
      places.map((part) => text.indexOf(part)).sort((a, b) => a - b),
    )
    expect(text.endsWith("Springfield, IL 62701\n")).toBe(true)
  })

  test("shows the logo at its size, with the name where images are not loaded", () => {
    const { html } = email(BRANDING)
    expect(html).toContain(
      `<img src="${BASE}/logos/acme/${"a".repeat(64)}.png" width="240" height="48" alt="Acme Fitness"`,
    )
    expect(html.match(/<img /g)).toHaveLength(1)
    expect(email({ ...BRANDING, logo: null }).html).not.toContain("<img")
  })

  test("has its colour on the button, with text that can be read, and shades of it for light and dark", () => {
    const { html } = email(BRANDING)
    expect(html).toContain("background-color:#ffd400;color:#000000;border:1px solid #")
    expect(html).toContain("@media (prefers-color-scheme:dark){.edge{border-color:#ffd400 !important}")
    expect(email({ ...BRANDING, accent: null }).html).toContain("background-color:#1f5fd6;color:#ffffff")
  })

  test("has a line of its colour above the message, and none where no colour was chosen", () => {
    const styleOf = (branding: Branding | null) => /role="article"[^>]* style="([^"]*)"/.exec(email(branding).html)?.[1]
    expect(styleOf(BRANDING)).toBe(`${styleOf(null)};border-top:4px solid #ffd400`)
    expect(styleOf({ ...BRANDING, accent: null })).toMatch(/padding:24px$/)
  })

  test("is no different without branding than with an empty one", () => {
    const nothing = { logo: null, accent: null, signature: null, replyTo: null, postalAddress: null }
    expect(email(nothing)).toEqual(email(null))
  })

  test.each(["sms", "push", "dm"] as const)("changes nothing in a message by %s", (channel) => {
    const look = lookOf(BRANDING, "acme", BASE)
    expect(renderNudge({ ...NUDGE, channel, look })).toEqual(renderNudge({ ...NUDGE, channel }))
  })
})

describe("stored texts that no check of today has seen", () => {
  const HOSTILE = `<script>alert(1)</script>"><img src=x onerror=alert(2)>`

  test("are plain text in both parts", () => {
    const { html, text } = email({ ...BRANDING, signature: HOSTILE, postalAddress: HOSTILE }, { brandName: HOSTILE })
    expect(html).not.toMatch(/<script|<img src=x|onerror=alert\(2\)>/)
    expect(html).toContain(escapeHtml(HOSTILE))
    expect(text).toContain(HOSTILE)
  })

  test("have no control characters and no direction marks", () => {
    const { html, text } = email({ ...BRANDING, signature: "a\u0000b\u202ec\r\nBcc: d", accent: null })
    expect(text).toContain("a bc\nBcc: d")
    expect(html).toContain("a bc<br>Bcc: d")
  })

  test("are no style where a colour is expected", () => {
    expect(email({ ...BRANDING, accent: "red;}</style><script>" }).html).toBe(email({ ...BRANDING, accent: null }).html)
  })

  test("leave the link as the only address", () => {
    const { html } = email(BRANDING)
    const targets = [...html.matchAll(/href="([^"]*)"/g)].map(([, target]) => target)
    expect(targets).toEqual([LINK, LINK, `${BASE}/unsubscribe/x`])
  })
})
