/** Every text that a member can get, by kind and step. Longer than 300 lines, so that one kind is compared with the next. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { anyString } from "../../../test/support/any-string.ts"
import { NUDGE } from "../../../test/support/events/message.ts"
import type { MemberMessageAction } from "../recovery/decline-codes.ts"
import { segmentsOf } from "./messages/sms.ts"
import { firstNameOf, type NudgeInput, type Rendered, renderNudge } from "./messages.ts"

const LINK = "https://pay.example.com/r/abcdefghijklmnopqrstuvwxyz0123456789"
const UNSUBSCRIBE = "https://pay.example.com/unsubscribe/abcdefghijklmnop"

/** The message; one that cannot be written fails the test. */
function render(change: Partial<NudgeInput> = {}): Rendered {
  const rendered = renderNudge(input(change))
  if (rendered === null) throw new Error("no message")
  return rendered
}

const input = (change: Partial<NudgeInput> = {}): NudgeInput => ({
  ...NUDGE,
  link: LINK,
  unsubscribeUrl: UNSUBSCRIBE,
  ...change,
})

describe("several open bills", () => {
  const bills = { invoiceCount: 2, totals: [{ totalMinor: 4_899, currency: "usd" }] }

  test.each([
    ["en-US", "In all, 2 invoices are open, together $48.99."],
    ["de-DE", "Insgesamt sind 2 Rechnungen offen"],
    ["fr-FR", "48,99"],
    ["es-ES", "En total hay 2 facturas pendientes"],
  ])("are named with their total, in %s", (locale, sentence) => {
    for (const channel of ["email", "dm"] as const) {
      const { text } = render({ channel, locale, bills })
      expect(text.replaceAll(/\s/g, " ")).toContain(sentence)
    }
  })

  test("are not mentioned where there is one", () => {
    expect(render({ bills: { ...bills, invoiceCount: 1 } }).text).toBe(render().text)
  })

  test("are counted where no amount is known, and summed by currency", () => {
    const none = { invoiceCount: 3, totals: [] }
    expect(render({ bills: none }).text).toContain("In all, 3 invoices are open.")
    const two = { invoiceCount: 2, totals: [{ totalMinor: 500, currency: "eur" }, ...bills.totals] }
    expect(render({ bills: two }).text).toContain("In all, 2 invoices are open, together €5.00 + $48.99.")
  })
})

test("the last reminder of a payment does not ask a member to keep what they have canceled", () => {
  const may = "your subscription may end"
  expect(render({ step: 4 }).text).toContain(may)
  expect(render({ step: 4, isLeaving: true }).text).not.toContain(may)
})

const ASKS: readonly MemberMessageAction[] = ["update_card", "authenticate", "wait_for_funds", "call_bank", "try_again"]
const LOCALES = ["en", "de", "fr", "es"]
const CHANNELS = ["email", "sms", "push", "dm"] as const
const KINDS = ["payment", "cancellation", "at_risk"] as const

describe("a nudge", () => {
  test("says what happened, what to do and where, in plain words", () => {
    expect(render().text).toBe(`Hi Ada,

Your payment of $19.99 to Acme Fitness did not go through. This happens, and it is quickly put right.

Please check your payment details or choose another way to pay. It takes about a minute.

Check payment details: ${LINK}

Once it has been paid, nothing changes for you.

Questions? Write to us at help@acme.example.

You receive this message because you have a subscription with Acme Fitness.
Unsubscribe from these reminders: ${UNSUBSCRIBE}
`)
  })

  test("fits a text message and has the opt-out", () => {
    expect(render({ channel: "sms" }).text).toBe(
      `Acme Fitness: Your payment of $19.99 did not go through. Please check your payment details: ${LINK} Reply STOP to opt out.`,
    )
    expect(render({ channel: "push" }).text).not.toContain("STOP")
  })

  test("differs by step, by ask, by kind and by language, on every channel", () => {
    for (const channel of CHANNELS) {
      const bySteps = [0, 2, 4].map((step) => render({ channel, step }).text)
      const byAsks = ASKS.map((ask) => render({ channel, ask }).text)
      const byKinds = KINDS.map((caseKind) => render({ channel, caseKind }).text)
      const byLocales = LOCALES.map((locale) => render({ channel, locale }).text)
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
  ])("is in the language of %s", (locale, greeting) => {
    expect(render({ locale }).text.startsWith(greeting)).toBe(true)
  })

  test("formats amounts in the language of the text", () => {
    expect(render({ locale: "de-DE" }).text).toMatch(/19,99\s\$/)
    expect(render({ locale: "pt-BR" }).text).toContain("$19.99")
  })

  test("mentions the incentive", () => {
    expect(render({ incentive: { kind: "discount", percentOff: 20, months: 3 } }).text).toContain(
      "we take 20% off your next 3 months",
    )
    for (const channel of CHANNELS) {
      for (const locale of LOCALES) {
        const { text } = render({ channel, locale, incentive: { kind: "free_days", days: 17 } })
        expect(text).toContain("17")
      }
    }
  })

  test("reads well without a name, an amount, a known cause, a support address or a way to unsubscribe", () => {
    const bare = { name: null, money: null, ask: null, supportEmail: null, unsubscribeUrl: null, step: null }
    for (const channel of CHANNELS) {
      for (const caseKind of KINDS) {
        for (const locale of LOCALES) {
          const { text, html } = render({ ...bare, channel, caseKind, locale })
          expect(text + (html ?? "")).not.toMatch(/null|undefined|NaN| {2}| [.,]/)
        }
      }
    }
  })

  test("throws for a link that is not http(s)", () => {
    expect(() => render({ link: "javascript:alert(1)" })).toThrow(TypeError)
  })
})

describe("the e-mail", () => {
  const html = render().html ?? ""

  test("has a language, a preheader, a button, the same link as text and the unsubscribe link", () => {
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
  anyString({ maxLength: 200 }),
  fc.tuple(fc.constantFrom(...HOSTILE), fc.constantFrom(...HOSTILE)).map((parts) => parts.join(" ")),
  fc.string({ unit: fc.constantFrom(..."<>\"'&/:.@[]()\r\n\thtps w"), maxLength: 60 }),
)

describe("whatever names and brands contain", () => {
  const anyInput = fc.record({
    channel: fc.constantFrom(...CHANNELS),
    caseKind: fc.constantFrom(...KINDS),
    billing: fc.constantFrom("subscription" as const, "one_off" as const),
    collection: fc.constantFrom("automatic" as const, "manual" as const),
    endsAt: fc.constantFrom("2027-10-26T12:00:00.000Z", null),
    timeZone: fc.option(fc.oneof(fc.constant("Europe/Berlin"), hostile)),
    step: fc.constantFrom(0, 2, 4, 7, null),
    ask: fc.constantFrom(...ASKS, null),
    name: fc.option(hostile),
    brandName: hostile,
    supportEmail: fc.option(hostile),
    locale: fc.option(fc.oneof(fc.constantFrom(...LOCALES), hostile)),
    money: fc.option(fc.record({ amountMinor: fc.double(), currency: hostile })),
    incentive: fc.constantFrom({ kind: "free_days" as const, days: 7 }, null),
  })

  test("there is no foreign markup, subjects are one line, and there is no second link", () => {
    const tagsOf = (html: string) => [...html.matchAll(/<\/?[a-z!][^>]*>/gi)].map((match) => match[0].split(/[\s>]/)[0])
    fc.assert(
      fc.property(anyInput, (change) => {
        const { subject, text, html } = render(change)

        expect(subject.replaceAll(/[\u200c\u200d]/g, "")).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u)
        expect([...subject].length).toBeLessThanOrEqual(120)
        expect(text.replaceAll(/[\u200c\u200d]/g, "")).not.toMatch(/[^\P{Cc}\n]|[\p{Cf}\u2028\u2029]/u)
        expect(text.isWellFormed() && subject.isWellFormed()).toBe(true)
        expect(text).not.toMatch(/[<>[\]]/)

        const others = text.replace(LINK, "").replace(UNSUBSCRIBE, "")
        expect(others).not.toMatch(/:\/\/|www\.|mailto:|javascript:/i)
        expect(text.split(LINK).length).toBe(2)

        if (change.channel === "push") expect(text.length).toBeLessThanOrEqual(320)
        if (change.channel === "sms") expect(segmentsOf(text)).toBeLessThanOrEqual(2)
        if (change.channel === "sms") expect(text).toContain("STOP")
        if (html === null) return
        const hrefs = [...html.matchAll(/href\s*=\s*"([^"]*)"/gi)].map((match) => match[1])
        expect(hrefs).toEqual([LINK, LINK, UNSUBSCRIBE])
        const plain = render({ ...change, name: "Ada", brandName: "Acme", supportEmail: null, money: null }).html
        expect(new Set(tagsOf(html))).toEqual(new Set(tagsOf(plain ?? "")))
        const attributes = html.replaceAll(/="[^"]*"/g, "").match(/<[^>]*>/g)
        expect(attributes?.join("")).not.toMatch(/on(?:error|load)/i)
      }),
      { numRuns: 1_000 },
    )
  })

  test.each([
    ...["Booking.com", "AT&T", "Müller & Söhne", "Yahoo!", "L’Oréal", "3M", "樂天", "#1 Gym", "24/7 Fitness", "P!nk"],
    ...['Toys "R" Us', "Yoga (Berlin)", "*NSYNC", "Ke$ha", "Acme Inc.", "Yoga@Home", "Jeopardy? Club", "a:b", "E=mc^2"],
    ...["👨\u200d👩\u200d👧 Family Gym", "باشگاه می\u200cخواهم", "क्\u200dष योग", "❤️ Yoga"],
  ])("the brand %s keeps its name", (brandName) => {
    for (const locale of LOCALES) {
      for (const step of [0, 2, 4]) expect(render({ brandName, locale, step }).subject).toContain(brandName)
      expect(render({ brandName, locale }).text).toContain(brandName)
    }
  })

  test.each(["", " ", "\u3164", "\u200d\u200c", "!!!", "<>", "\u2800"])("the brand %j is none", (brandName) => {
    expect(render({ brandName }).subject).toBe("Your payment to our service did not go through")
  })

  test("an ampersand in a brand is escaped once in HTML and not at all in text", () => {
    const { text, html } = render({ brandName: "AT&T" })
    expect(html).toContain("AT&amp;T")
    expect(html).not.toContain("&amp;amp;")
    expect(text).toContain("AT&T")
  })
})

test("a first name is letters or nothing, whatever the name", () => {
  fc.assert(
    fc.property(hostile, (name) => {
      expect(firstNameOf(name) ?? "A").toMatch(/^(?:[\p{L}\p{M}'’.-]|\u200c|\u200d){1,30}$/u)
    }),
  )
})
