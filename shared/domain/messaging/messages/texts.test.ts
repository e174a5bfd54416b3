/** All texts (languages, kinds, billing, collection, steps, asks and channels), with the rules that each must follow. */
import { describe, expect, test } from "vitest"
import type { MemberMessageAction } from "../../recovery/decline-codes.ts"
import { type NudgeInput, renderNudge } from "../messages.ts"
import { isGsm, segmentsOf } from "./sms.ts"

/** About as long as links are with ids of Stripe. */
const LINK = `https://churn-saver.example.com/r/${"aB3_".repeat(36)}`
const UNSUBSCRIBE = "https://pay.example.com/unsubscribe/abc"

const LANGUAGES = ["en", "de", "es", "fr"] as const
const CHANNELS = ["email", "dm", "sms", "push"] as const
const KINDS = ["payment", "cancellation", "at_risk"] as const
const STEPS = [0, 2, 4, null] as const
const ASKS: readonly MemberMessageAction[] = ["update_card", "authenticate", "wait_for_funds", "call_bank", "try_again"]
const BRANDS = [
  "Acme",
  "Yahoo!",
  "Acme Inc.",
  "#1 Gym",
  "The Very Long Name of a Fitness Club (Downtown)",
  "樂天",
  "Ñandú…",
]

/** Words that speak of a subscription. "Unsubscribe" and "abbestellen" are about messages. */
const SUBSCRIPTION = {
  en: /\bsubscription|\bmembership|\bplan\b|\brenew/i,
  de: /\babo\b|abonnement|mitgliedschaft|verlänger/i,
  es: /suscripci|membres|\bplan\b|renova/i,
  fr: /abonnement|adhésion|\bforfait|renouvel/i,
}
/** Words that promise that something is near, or call a payment the latest: nobody knows that. */
const SOON = {
  en: /\bsoon\b|shortly|latest|is ending/i,
  de: /\bbald\b|in kürze|demnächst|ihre letzte zahlung/i,
  es: /pronto|en breve|último pago/i,
  fr: /bientôt|sous peu|dernier paiement/i,
}
const FAILED = {
  en: /did not go through|declined/i,
  de: /nicht geklappt|abgelehnt/i,
  es: /no se ha completado|rechaz/i,
  fr: /n’a pas abouti|refus/i,
}

const base: NudgeInput = {
  channel: "email",
  caseKind: "payment",
  billing: "subscription",
  collection: "automatic",
  step: 0,
  ask: "update_card",
  name: "Ada",
  money: { amountMinor: 123_456, currency: "eur" },
  bills: null,
  nextAttemptAt: null,
  endsAt: null,
  isLeaving: false,
  now: "2026-11-30T10:00:00.000Z",
  locale: "en",
  timeZone: "Europe/Berlin",
  brandName: "Acme",
  supportEmail: "help@acme.example",
  link: LINK,
  unsubscribeUrl: UNSUBSCRIBE,
  incentive: null,
}

type Row = readonly [name: string, language: (typeof LANGUAGES)[number], input: NudgeInput]

/** All rows of the table. */
const ROWS: readonly Row[] = LANGUAGES.flatMap((locale) =>
  CHANNELS.flatMap((channel) =>
    KINDS.flatMap((caseKind) =>
      (["subscription", "one_off"] as const).flatMap((billing) =>
        (["automatic", "manual"] as const).flatMap((collection) =>
          STEPS.flatMap((step) =>
            (caseKind === "payment" ? ASKS : [null]).map(
              (ask): Row => [
                `${locale} ${channel} ${caseKind} ${billing} ${collection} ${step} ${ask}`,
                locale,
                { ...base, locale, channel, caseKind, billing, collection, step, ask },
              ],
            ),
          ),
        ),
      ),
    ),
  ),
)

/** Those with the longest words, for tests that look at every brand. */
const FEW = ROWS.filter(([, , { ask, billing }]) => (ask ?? "call_bank") === "call_bank" && billing === "subscription")

function render(input: NudgeInput) {
  const rendered = renderNudge(input)
  if (rendered === null) throw new Error("no message")
  return {
    ...rendered,
    all: `${rendered.subject}\n${rendered.text}\n${rendered.html?.replaceAll(/<[^>]*>/g, "\n") ?? ""}`,
  }
}

/** What is read, without addresses. */
const words = (text: string): string => text.replaceAll(/https?:\/\/\S+|\S+@\S+/g, "")

describe("every text", () => {
  test("has no empty part, no second mark after a mark, and no space before one that takes none", () => {
    for (const brandName of BRANDS) {
      for (const [name, , input] of FEW) {
        for (const money of [input.money, null]) {
          const { all } = render({ ...input, brandName, money })
          const shown = words(all).replaceAll(brandName, "Brand").replaceAll("...", "")
          expect(shown, name).not.toMatch(/null|undefined|NaN|\(\)|\[object|\$\{|\{\{/)
          expect(shown, name).not.toMatch(/[.!?,;:]{2}| [.,]|, *\.|\bde \.|\bof to\b/)
          expect(words(all).replaceAll("...", ""), name).not.toMatch(/[!?.][.:]/)
        }
      }
    }
  })

  test("calls no one-off invoice a subscription", () => {
    for (const [name, language, input] of ROWS) {
      if (input.caseKind !== "payment" || input.billing !== "one_off") continue
      const incentive = { kind: "discount", percentOff: 20, months: 2 } as const
      expect(words(render({ ...input, incentive }).all), name).not.toMatch(SUBSCRIPTION[language])
    }
  })

  test("mentions a subscription to those who have one, which verifies the patterns", () => {
    for (const locale of LANGUAGES) expect(render({ ...base, locale }).all).toMatch(SUBSCRIPTION[locale])
  })

  test("does not say that something is soon, nor calls a payment the latest", () => {
    for (const [name, language, input] of ROWS) expect(words(render(input).all), name).not.toMatch(SOON[language])
  })

  test("says that a manually paid invoice is overdue, not that a payment failed", () => {
    const overdue = {
      en: /overdue|not paid/i,
      de: /überfällig|nicht bezahlt/i,
      es: /vencida|sin pagar/i,
      fr: /échue|pas payée/i,
    }
    for (const [name, language, input] of ROWS) {
      if (input.caseKind !== "payment" || input.channel === "sms") continue
      const { all } = render(input)
      if (input.collection === "manual") {
        expect(all, name).toMatch(overdue[language])
        expect(all, name).not.toMatch(FAILED[language])
      } else {
        expect(all, name).not.toMatch(overdue[language])
      }
    }
  })

  test("names the amount exactly when it is known", () => {
    for (const [name, , input] of ROWS) {
      if (input.caseKind !== "payment") continue
      expect(render({ ...input, link: "https://a.example/r/abc" }).text, name).toMatch(/1\D?234[.,]56/)
      expect(render({ ...input, money: null }).text.replaceAll(LINK, ""), name).not.toMatch(/€|EUR|0[.,]00/)
    }
  })

  test("has a one-line subject, and fits a push notification", () => {
    for (const brandName of BRANDS) {
      for (const [name, , input] of FEW) {
        const { subject, text } = render({ ...input, brandName })
        expect([...subject].length, name).toBeLessThanOrEqual(120)
        if (input.channel === "push") expect(text.length, name).toBeLessThanOrEqual(320)
      }
    }
  })
})

describe("a text message", () => {
  const OFFERS = [null, { kind: "discount", percentOff: 100, months: 36 }] as const
  const AMOUNTS = ["eur", "inr", "usdt"].map((currency) => ({ amountMinor: 99_999_999, currency }))

  test("has at most two segments in every language, keeps link and opt-out, and has plain quotes and spaces", () => {
    for (const brandName of BRANDS) {
      for (const [name, , input] of FEW) {
        if (input.channel !== "sms") continue
        for (const incentive of OFFERS) {
          for (const money of AMOUNTS) {
            const bills = {
              invoiceCount: 12,
              totals: AMOUNTS.slice(0, 2).map((one) => ({ ...one, totalMinor: 9_999_999 })),
            }
            const { text } = render({ ...input, brandName, incentive, money, bills })
            expect(segmentsOf(text), `${name} ${text}`).toBeLessThanOrEqual(2)
            expect(text, name).toContain(LINK)
            expect(text, name).toContain("STOP")
            expect(text, name).not.toMatch(/[\u00a0\u202f’‘“”„«»–—]/)
            if (isGsm(brandName)) expect(isGsm(text), `${name} ${text}`).toBe(true)
          }
        }
      }
    }
  })

  test("names the brand where its letters leave room for the link", () => {
    expect(render({ ...base, channel: "sms", brandName: "Café Ñandú" }).text).toContain("Café Ñandu:")
    expect(render({ ...base, channel: "sms", brandName: "Gym 💪" }).text).toContain("Gym: Your payment")
    expect(render({ ...base, channel: "sms", brandName: "樂天" }).text).toMatch(/^Your payment of €1,234.56/)
    const link = "https://a.example/r/abc"
    expect(render({ ...base, channel: "sms", money: null, brandName: "樂天", link }).text).toContain("樂天")
  })

  test("writes a currency whose sign is not in the alphabet by its code", () => {
    const money = { amountMinor: 199_900, currency: "inr" }
    expect(render({ ...base, channel: "sms", money }).text).toContain("of 1,999.00 INR did")
    expect(render({ ...base, channel: "sms", locale: "de" }).text).toContain("1.234,56 €")
  })

  test("that cannot hold its link is none", () => {
    expect(renderNudge({ ...base, channel: "sms", link: `${LINK}${"x".repeat(200)}` })).toBeNull()
  })
})

describe("dates", () => {
  test.each([
    ["en-GB", "ends on 26 October 2027, as you asked."],
    ["en-US", "ends on October 26, 2027, as you asked."],
    ["de-DE", "endet am 26. Oktober 2027, wie gewünscht."],
    ["es", "terminará el 26 de octubre de 2027, como pidió."],
    ["fr", "prendra fin le 26 octobre 2027, comme vous l’avez demandé."],
  ])("in %s say when a canceled subscription ends", (locale, expected) => {
    const input = { ...base, caseKind: "cancellation", step: 4, locale, endsAt: "2027-10-25T23:30:00.000Z" } as const
    expect(render(input).text).toContain(expected)
  })

  test("say when the provider tries again, while that is to come", () => {
    const at = (nextAttemptAt: string) => render({ ...base, nextAttemptAt }).text
    expect(at("2026-12-03T10:00:00.000Z")).toContain("Otherwise the payment will be tried again on December 3, 2026.")
    expect(at("2026-11-30T09:00:00.000Z")).not.toContain("tried again")
    expect(render({ ...base, collection: "manual", nextAttemptAt: "2026-12-03T10:00:00.000Z" }).text).not.toContain(
      "again",
    )
  })
})

describe("several open invoices", () => {
  const totals = [{ totalMinor: 6_000, currency: "eur" }]
  test.each([
    ["en", "In all, 3 invoices are open, together €60.00."],
    ["de", "Insgesamt sind 3 Rechnungen offen, zusammen 60,00 €."],
    ["es", "En total hay 3 facturas pendientes, por 60,00 €."],
    ["fr", "En tout, 3 factures sont en attente, pour 60,00 €."],
  ])("are named with their total in %s", (locale, expected) => {
    const { text } = render({ ...base, locale, bills: { invoiceCount: 3, totals } })
    expect(text.replaceAll(/\p{Zs}/gu, " ")).toContain(expected)
    expect(render({ ...base, locale, bills: { invoiceCount: 1, totals } }).text).not.toContain("60")
  })
})
