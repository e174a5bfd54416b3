import fc from "fast-check"
import { describe, expect, test } from "vitest"
import type { MemberAsk } from "./decline-codes.ts"
import { firstNameOf, type NudgeInput, renderNudge, renderTeamAlert } from "./messages.ts"

const LINK = "https://pay.example.com/r/abcdefghijklmnopqrstuvwxyz0123456789"
const UNSUBSCRIBE = "https://pay.example.com/unsubscribe/abcdefghijklmnop"

const input = (change: Partial<NudgeInput> = {}): NudgeInput => ({
  channel: "email",
  caseKind: "payment",
  step: 0,
  ask: "update_card",
  firstName: "Ada",
  money: { amountMinor: 1_999, currency: "usd" },
  locale: "en-US",
  brandName: "Acme Fitness",
  supportEmail: "help@acme.example",
  link: LINK,
  unsubscribeUrl: UNSUBSCRIBE,
  incentive: null,
  ...change,
})

describe("several open bills", () => {
  const bills = { invoiceCount: 2, totals: [{ totalMinor: 4_899, currency: "usd" }] }

  test.each([
    ["en-US", "In all, 2 payments are open: $48.99."],
    ["de-DE", "Insgesamt sind 2 Zahlungen offen: 48,99\u00a0$."],
    ["fr-FR", "Au total, 2 paiements sont en attente"],
    ["es-ES", "En total hay 2 pagos pendientes: 48,99"],
  ])("are named with their total, in %s and on every channel", (locale, sentence) => {
    for (const channel of ["email", "sms", "push", "dm"] as const) {
      const { text } = renderNudge(input({ channel, locale, bills }))
      expect(text.replaceAll(/\s/g, " ")).toContain(sentence.replaceAll(/\s/g, " "))
    }
  })

  test("are not spoken of where there is one", () => {
    expect(renderNudge(input({ bills: { ...bills, invoiceCount: 1 } })).text).toBe(renderNudge(input()).text)
  })

  test("are counted where no amount is known, and summed by currency", () => {
    const none = { invoiceCount: 3, totals: [] }
    expect(renderNudge(input({ bills: none })).text).toContain("In all, 3 payments are open.")
    const two = { invoiceCount: 2, totals: [{ totalMinor: 500, currency: "eur" }, ...bills.totals] }
    expect(renderNudge(input({ bills: two })).text).toContain("In all, 2 payments are open: €5.00 + $48.99.")
  })
})

describe("the last reminder", () => {
  const last = (change: Partial<NudgeInput>) => renderNudge(input({ step: 4, ...change }))

  test("of a cancellation says that the end is near only when it is", () => {
    const words = /shortly|is ending/i
    expect(last({ caseKind: "cancellation", endsSoon: true }).text).toMatch(words)
    const far = last({ caseKind: "cancellation", endsSoon: false })
    expect(`${far.subject} ${far.text}`).not.toMatch(words)
  })

  test("of a payment does not ask a member to keep what they have canceled", () => {
    expect(last({}).subject).toContain("keep your")
    expect(last({ isLeaving: true }).subject).not.toContain("keep your")
  })
})

const ASKS: readonly MemberAsk[] = ["update_card", "authenticate", "wait_for_funds", "call_bank", "try_again"]
const LOCALES = ["en", "de", "fr", "es"]
const CHANNELS = ["email", "sms", "push", "dm"] as const
const KINDS = ["payment", "cancellation", "at_risk"] as const

describe("a nudge", () => {
  test("says what happened, what to do and where, in plain words", () => {
    expect(renderNudge(input()).text).toBe(`Hi Ada,

Your latest payment of $19.99 to Acme Fitness did not go through. This happens, and it is quickly put right.

Please check your payment details or choose another way to pay. It takes about a minute.

Check payment details: ${LINK}

As soon as it has gone through, nothing changes for you.

Questions? Write to us at help@acme.example.

You receive this message because you have a subscription with Acme Fitness.
Unsubscribe from these reminders: ${UNSUBSCRIBE}
`)
  })

  test("is as short as a text message and says how to stop", () => {
    expect(renderNudge(input({ channel: "sms" })).text).toBe(
      `Acme Fitness: your payment of $19.99 did not go through. Please check your payment details: ${LINK} Reply STOP to opt out.`,
    )
    expect(renderNudge(input({ channel: "push" })).text).not.toContain("STOP")
  })

  test("differs by step, by ask, by kind and by language, on every channel", () => {
    for (const channel of CHANNELS) {
      const bySteps = [0, 2, 4].map((step) => renderNudge(input({ channel, step })).text)
      const byAsks = ASKS.map((ask) => renderNudge(input({ channel, ask })).text)
      const byKinds = KINDS.map((caseKind) => renderNudge(input({ channel, caseKind })).text)
      const byLocales = LOCALES.map((locale) => renderNudge(input({ channel, locale })).text)
      for (const texts of [bySteps, byAsks, byKinds, byLocales]) expect(new Set(texts).size).toBe(texts.length)
    }
  })

  test.each([
    ["de-AT", "Guten Tag Ada,"],
    ["fr_CA", "Bonjour Ada,"],
    ["ES", "Hola, Ada:"],
    ["pt-BR", "Hi Ada,"],
    ["den", "Hi Ada,"],
    ["", "Hi Ada,"],
    [null, "Hi Ada,"],
  ])("speaks the language of %s", (locale, greeting) => {
    expect(renderNudge(input({ locale })).text.startsWith(greeting)).toBe(true)
  })

  test("writes amounts in the language it speaks, never half in another", () => {
    expect(renderNudge(input({ locale: "de-DE" })).text).toMatch(/19,99\s\$/)
    expect(renderNudge(input({ locale: "pt-BR" })).text).toContain("$19.99")
  })

  test("mentions the incentive", () => {
    expect(renderNudge(input({ incentive: { kind: "discount", percentOff: 20, months: 3 } })).text).toContain(
      "we take 20% off your next 3 months",
    )
    for (const channel of CHANNELS) {
      for (const locale of LOCALES) {
        const { text } = renderNudge(input({ channel, locale, incentive: { kind: "free_days", days: 17 } }))
        expect(text).toContain("17")
      }
    }
  })

  test("reads well without a name, an amount, a known cause, a support address or a way to unsubscribe", () => {
    const bare = { firstName: null, money: null, ask: null, supportEmail: null, unsubscribeUrl: null, step: null }
    for (const channel of CHANNELS) {
      for (const caseKind of KINDS) {
        for (const locale of LOCALES) {
          const { text, html } = renderNudge(input({ ...bare, channel, caseKind, locale }))
          expect(text + (html ?? "")).not.toMatch(/null|undefined|NaN| {2}| [.,]/)
        }
      }
    }
  })

  test("refuses a link that is not of the web", () => {
    expect(() => renderNudge(input({ link: "javascript:alert(1)" }))).toThrow(TypeError)
  })
})

describe("the e-mail", () => {
  const html = renderNudge(input()).html ?? ""

  test("has a language, a preheader, a button, the same link in plain and the way out", () => {
    expect(html).toContain('<html lang="en">')
    expect(html).toContain('name="color-scheme" content="light dark"')
    expect(html.indexOf("Please check your payment details")).toBeLessThan(html.indexOf("Hi Ada,"))
    expect([...html.matchAll(/href="([^"]*)"/g)].map((match) => match[1])).toEqual([LINK, LINK, UNSUBSCRIBE])
    expect(html).toContain(`>${LINK}</a>`)
  })
})

/** Strings that have broken programs: big-list-of-naughty-strings (MIT), XSS cheat sheets, header injection. */
const HOSTILE = [
  "<script>alert(1)</script>",
  '"><img src=x onerror=alert(1)>',
  "<svg/onload=alert`1`>",
  "javascript:alert(1)",
  "Ada\r\nBcc: victim@example.com",
  "Ada%0d%0aBcc: x@example.com",
  "\u2028\u2029\u0000\u0007\u001b[31m",
  "\u202Egnp.exe",
  "\u2066\u2067\u2068 isolates",
  "[click](https://evil.example)",
  "<https://evil.example|click>",
  "https://evil.example/login",
  "http:\\\\evil.example",
  "www.evil.example",
  "//evil.example/x",
  "evil.example",
  "mailto:x@evil.example",
  "{{constructor.constructor('return 1')()}}",
  "#{7*7} <%= 7*7 %>",
  "👩‍👩‍👧‍👦 Ada 🔥",
  "Ｔｈｅ ｑｕｉｃｋ",
  "田中さんにあげて下さい",
  "الكل في المجمو عة",
  "̡͓̞ͅI̗̘̦͝n͇͇͙v̮̫ok̲̫̙͈i̖͙̭̹̠̞n̡̻̮̣̺g̲͈͙̭͙̬͎ ̰t͔̦h̞̲e̢̤ ͍̬̲͖f̴̘͕̣è͖ẹ̥̩l͖͔͚i͓͚̦͠n͖͍̗͓̳̮g͍ ̨o͚̪͡f̘̣̬ ̖̘͖̟͙̮c҉͔̫͖͓͇͖ͅh̵̤̣͚͔á̗̼͕ͅo̼̣̥s̱͈̺̖̦̻͢.̛̖̞̠̫̰",
  "\ud800",
  "A".repeat(10_000),
  "𝔸".repeat(10_000),
  "&lt;b&gt;&amp;",
  "' OR 1=1 --",
  "",
  " ",
]

const hostile = fc.oneof(
  fc.constantFrom(...HOSTILE),
  fc.string({ unit: "binary", maxLength: 200 }),
  fc.tuple(fc.constantFrom(...HOSTILE), fc.constantFrom(...HOSTILE)).map((parts) => parts.join(" ")),
  fc.string({ unit: fc.constantFrom(..."<>\"'&/:.@[]()\r\n\thtps w"), maxLength: 60 }),
)

describe("whatever names and brands contain", () => {
  const anyInput = fc.record({
    channel: fc.constantFrom(...CHANNELS),
    caseKind: fc.constantFrom(...KINDS),
    step: fc.constantFrom(0, 2, 4, 7, null),
    ask: fc.constantFrom(...ASKS, null),
    firstName: fc.option(hostile),
    brandName: hostile,
    supportEmail: fc.option(hostile),
    locale: fc.option(fc.oneof(fc.constantFrom(...LOCALES), hostile)),
    money: fc.option(fc.record({ amountMinor: fc.double(), currency: hostile })),
    incentive: fc.constantFrom({ kind: "free_days" as const, days: 7 }, null),
  })

  test("markup stays ours, headers stay one line, and there is no second link", () => {
    const tagsOf = (html: string) => [...html.matchAll(/<\/?[a-z!][^>]*>/gi)].map((match) => match[0].split(/[\s>]/)[0])
    fc.assert(
      fc.property(anyInput, (change) => {
        const { subject, text, html } = renderNudge(input(change))

        expect(subject).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u)
        expect([...subject].length).toBeLessThanOrEqual(120)
        expect(text).not.toMatch(/[^\P{Cc}\n]|[\p{Cf}\u2028\u2029]/u)
        expect(text.isWellFormed() && subject.isWellFormed()).toBe(true)
        expect(text).not.toMatch(/[<>[\]]/)

        const others = text.replace(LINK, "").replace(UNSUBSCRIBE, "")
        expect(others).not.toMatch(/:\/\/|www\.|mailto:|javascript:/i)
        expect(text.split(LINK).length).toBe(2)

        if (change.channel === "sms" || change.channel === "push") expect(text.length).toBeLessThanOrEqual(320)
        if (change.channel === "sms") expect(text).toContain("STOP")
        if (html === null) return
        const hrefs = [...html.matchAll(/href\s*=\s*"([^"]*)"/gi)].map((match) => match[1])
        expect(hrefs).toEqual([LINK, LINK, UNSUBSCRIBE])
        const plain = renderNudge(
          input({ ...change, firstName: "Ada", brandName: "Acme", supportEmail: null, money: null }),
        ).html
        expect(new Set(tagsOf(html))).toEqual(new Set(tagsOf(plain ?? "")))
        expect(html).not.toMatch(/on(?:error|load)\s*=/i)
      }),
      { numRuns: 1_000 },
    )
  })

  test.each(["Booking.com", "AT&T", "Müller & Söhne", "Yahoo!", "L’Oréal", "3M", "樂天"])(
    "the brand %s keeps its name",
    (brandName) => {
      expect(renderNudge(input({ brandName })).subject).toContain(brandName)
    },
  )

  test("an ampersand in a brand is escaped once in HTML and not at all in text", () => {
    const { text, html } = renderNudge(input({ brandName: "AT&T" }))
    expect(html).toContain("AT&amp;T")
    expect(html).not.toContain("&amp;amp;")
    expect(text).toContain("AT&T")
  })
})

describe("a first name", () => {
  test.each([
    ["Ada Lovelace", "Ada"],
    ["  Jean-Luc   Picard", "Jean-Luc"],
    ["O’Neil", "O’Neil"],
    ["José María", "José"],
    ["李 小龍", "李"],
    ["J. Doe", "J."],
    ["Nguyễn Văn", "Nguyễn"],
  ])("of %j is %s", (name, first) => {
    expect(firstNameOf(name)).toBe(first)
    expect(firstNameOf(first)).toBe(first)
  })

  test.each([
    null,
    "",
    "ada@example.com",
    "evil.example",
    "https://evil.example",
    "xX_ada_Xx",
    "user123",
    "Lovelace, Ada",
    "<b>Ada</b>",
    "🔥",
    "A".repeat(31),
    "[Ada](x)",
    "=HYPERLINK(1)",
  ])("is not read out of %j", (name) => {
    expect(firstNameOf(name)).toBeNull()
  })

  test("is letters or nothing, whatever the name", () => {
    fc.assert(
      fc.property(hostile, (name) => {
        expect(firstNameOf(name) ?? "A").toMatch(/^[\p{L}\p{M}'’.-]{1,30}$/u)
      }),
    )
  })
})

describe("a team alert", () => {
  test("escapes what Slack would read as mark-up and links once", () => {
    const { subject, text } = renderTeamAlert({
      severity: "P1",
      state: "firing",
      title: "Errors > 10 % <!channel>\r\n& more",
      lines: ["case <https://evil.example|x>", "count 5"],
      link: "https://ops.example.com/alerts/1?a=1&b=|2",
    })
    expect(subject).toBe("[P1] Errors > 10 % <!channel> & more")
    expect(text).toBe(
      "[P1] Errors &gt; 10 % &lt;!channel&gt; &amp; more\n• case &lt;https://evil.example|x&gt;\n• count 5\n<https://ops.example.com/alerts/1?a=1&amp;b=%7C2|Open>",
    )
  })

  test("stays within one Slack message and says when it is over", () => {
    const { subject, text } = renderTeamAlert({
      severity: "P3",
      state: "resolved",
      title: "A".repeat(9_999),
      lines: Array.from({ length: 99 }, () => "B".repeat(9_999)),
      link: null,
    })
    expect(subject.startsWith("[P3] Resolved: AAA")).toBe(true)
    expect(text.length).toBeLessThan(4_000)
  })
})
