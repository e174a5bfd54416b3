/**
 * The rules of messages, one by one: content, optional parts, and fitting texts to a channel. Over 300 lines because all tests share
 * one message and its variations.
 */
import { describe, expect, test } from "vitest"
import { LINK, NUDGE } from "../../../test/support/events/message.ts"
import { segmentsOf } from "./messages/sms.ts"
import { type NudgeInput, type Rendered, renderNudge } from "./messages.ts"

function render(change: Partial<NudgeInput> = {}): Rendered {
  const rendered = renderNudge({ ...NUDGE, ...change })
  if (rendered === null) throw new Error("no message")
  return rendered
}
const textOf = (change: Partial<NudgeInput> = {}) => render(change).text
const DISCOUNT = { kind: "discount", percentOff: 20, months: 1 } as const

describe("the last reminder", () => {
  test("of a payment speaks of the subscription only to those who keep it", () => {
    const last = { step: 4, channel: "dm" } as const
    expect(textOf(last)).toContain("your subscription may end")
    expect(textOf({ ...last, isLeaving: true })).toBe(textOf({ step: 2, channel: "dm" }))
    expect(render({ step: 4, isLeaving: true }).subject).toBe(render({ step: 2 }).subject)
  })

  test("alone is worded otherwise for them", () => {
    for (const step of [0, 2]) expect(textOf({ step, isLeaving: true })).toBe(textOf({ step }))
  })

  test("of a cancellation goes to those who leave", () => {
    expect(render({ caseKind: "cancellation", step: 4, isLeaving: true }).subject).toBe(
      "Last reminder: keep your Acme Fitness subscription",
    )
  })
})

describe("a message says why it is sent", () => {
  const reasonOf = (change: Partial<NudgeInput>) => /You receive this message because (.*)/.exec(textOf(change))?.[1]

  test.each<[string, Partial<NudgeInput>, string]>([
    ["a subscription", {}, "you have a subscription with Acme Fitness."],
    ["an invoice without one", { billing: "one_off" }, "you have an open invoice from Acme Fitness."],
    [
      "an invoice that is paid manually",
      { billing: "one_off", collection: "manual" },
      "you have an open invoice from Acme Fitness.",
    ],
    ["a cancellation", { caseKind: "cancellation", billing: "one_off" }, "you have a subscription with Acme Fitness."],
  ])("for %s", (_, change, reason) => {
    expect(reasonOf(change)).toBe(reason)
  })
})

describe("the whole text", () => {
  test("of a message in another application has no button and no way to unsubscribe", () => {
    const { text, html, subject } = render({ channel: "dm", unsubscribeUrl: "https://pay.example.com/stop" })
    expect(html).toBeNull()
    expect(subject).toBe("Your payment to Acme Fitness did not go through")
    expect(text.split("\n\n")).toEqual([
      "Hi Ada,",
      "Your payment of $19.99 to Acme Fitness did not go through. This happens, and it is quickly put right.",
      "Please check your payment details or choose another way to pay. It takes about a minute.",
      LINK,
      "Once it has been paid, nothing changes for you.",
      "Questions? Write to us at help@acme.example.",
    ])
  })

  test("of an overdue invoice asks for a manual payment, and says what follows", () => {
    const manual = {
      collection: "manual",
      channel: "email",
      incentive: DISCOUNT,
      nextAttemptAt: "2026-12-03T10:00:00.000Z",
    } as const
    expect(render(manual).subject).toBe("Your invoice from Acme Fitness is overdue")
    expect(textOf(manual).split("\n\n")).toEqual([
      "Hi Ada,",
      "Your invoice of $19.99 from Acme Fitness is overdue.",
      "Please pay it with the link below. If you have paid it already, there is nothing you need to do.",
      `View and pay the invoice: ${LINK}`,
      "To thank you for staying, we take 20% off your next month.",
      "Once it has been paid, nothing changes for you.",
      "Questions? Write to us at help@acme.example.",
      "You receive this message because you have a subscription with Acme Fitness.\n",
    ])
    expect(textOf({ ...manual, channel: "push" })).toBe(
      `Acme Fitness: Your invoice of $19.99 is overdue. Please pay it here: ${LINK} To thank you for staying, we take 20% off your next month.`,
    )
  })

  test("of a cancellation says when it ends", () => {
    const canceled = { caseKind: "cancellation", channel: "dm", supportEmail: null } as const
    expect(textOf({ ...canceled, endsAt: "2027-10-26T12:00:00.000Z" }).split("\n\n")).toEqual([
      "Hi Ada,",
      "You asked us to end your Acme Fitness subscription. We are sorry to see you go.",
      "If you changed your mind, you can keep it with one click. If something was not right, please tell us.",
      LINK,
      "If you do nothing, it ends on October 26, 2027.",
    ])
    expect(textOf({ ...canceled, channel: "push" })).toBe(
      `Acme Fitness: Your subscription is set to end. Changed your mind? Keep it here: ${LINK}`,
    )
  })

  test("of a cancellation whose date is not known does not name one", () => {
    expect(textOf({ caseKind: "cancellation" })).toContain("If you do nothing, it ends on the date you were told.")
  })

  test("of a payment without a known reason asks to check the details", () => {
    for (const channel of ["email", "push"] as const) {
      expect(textOf({ channel, ask: null })).toBe(textOf({ channel, ask: "update_card" }))
      expect(textOf({ channel, ask: "call_bank" })).not.toBe(textOf({ channel }))
    }
    expect(textOf({ ask: "call_bank" })).toContain(`See payment options: ${LINK}`)
  })

  test("as HTML has the same parts", () => {
    const input = { unsubscribeUrl: "https://pay.example.com/stop", incentive: DISCOUNT, brandName: "Yahoo!" }
    const { html, text } = render(input)
    const shown = (html ?? "").match(/(?<=<(?:p|a) [^>]*>)[^<]+/g)
    expect(shown).toEqual([
      "Yahoo!",
      "Hi Ada,",
      "Your payment of $19.99 to Yahoo! did not go through. This happens, and it is quickly put right.",
      "Please check your payment details or choose another way to pay. It takes about a minute.",
      "To thank you for staying, we take 20% off your next month.",
      "Once it has been paid, nothing changes for you.",
      "Questions? Write to us at help@acme.example.",
      "Check payment details",
      "If the button does not work, open this address:",
      LINK,
      "You receive this message because you have a subscription with Yahoo!",
      "Unsubscribe from these reminders",
    ])
    expect(html).toContain("<title>Your payment to Yahoo! did not go through</title>")
    expect(text).toMatch(/with Yahoo!\nUnsubscribe from these reminders: https:\/\/pay\.example\.com\/stop\n$/)
  })
})

describe("an offer", () => {
  test.each<[string, Partial<NudgeInput>, boolean]>([
    ["is made for a subscription", {}, true],
    ["is not made for an invoice without one: it has no next period", { billing: "one_off" }, false],
    ["is made to those who cancel", { caseKind: "cancellation", billing: "one_off" }, true],
    ["is made to those at risk", { caseKind: "at_risk", billing: "one_off" }, true],
  ])("%s", (_, change, isMade) => {
    for (const channel of ["email", "push", "dm"] as const) {
      expect(textOf({ channel, incentive: DISCOUNT, ...change }).includes("20%")).toBe(isMade)
    }
  })
})

describe("the provider's next attempt", () => {
  test.each([
    ["that is still to come is named", "2026-11-30T10:00:00.001Z", true],
    ["that is now is not", "2026-11-30T10:00:00.000Z", false],
  ])("%s", (_, nextAttemptAt, isNamed) => {
    expect(textOf({ nextAttemptAt }).includes("tried again on November 30, 2026.")).toBe(isNamed)
  })

  test("comes before what follows a payment", () => {
    expect(textOf({ nextAttemptAt: "2026-12-03T10:00:00.000Z" })).toContain(
      "Otherwise the payment will be tried again on December 3, 2026. Once it has been paid, nothing changes for you.",
    )
  })
})

describe("a short message is made to fit", () => {
  const bills = { invoiceCount: 2, totals: [{ totalMinor: 4_899, currency: "usd" }] }
  const full = { bills, incentive: DISCOUNT, brandName: "Gym 樂 Berlin" } as const

  /** What is left in the message as the link gets longer, each state once. */
  function statesOf(channel: "sms" | "push", lengthMax: number) {
    const states: string[] = []
    for (let length = 1; length <= lengthMax; length += 4) {
      const rendered = renderNudge({ ...NUDGE, ...full, channel, link: `${LINK}${"x".repeat(length)}` })
      const { text } = rendered ?? { text: "none" }
      const parts = {
        "Gym 樂 Berlin:": "brand",
        "Gym Berlin:": "plain brand",
        "Your payment": "sentence",
        "of $19.99": "amount",
        "In all": "total",
        "20%": "offer",
        STOP: "stop",
        none: "none",
      }
      const state = Object.entries(parts).flatMap(([words, part]) => (text.includes(words) ? [part] : []))
      if (states.at(-1) !== state.join(", ")) states.push(state.join(", "))
    }
    return states
  }

  test("of two segments: without other letters, then offer, total, amount, sentence and brand", () => {
    expect(statesOf("sms", 300)).toEqual([
      "plain brand, sentence, amount, total, offer, stop",
      "plain brand, sentence, amount, total, stop",
      "plain brand, sentence, amount, stop",
      "plain brand, sentence, stop",
      "plain brand, stop",
      "stop",
      "none",
    ])
  })

  test("or of 320 characters, and its link is never left out", () => {
    expect(statesOf("push", 320)).toEqual([
      "brand, sentence, amount, total, offer",
      "brand, sentence, amount, total",
      "brand, sentence, amount",
      "brand, sentence",
      "brand",
      "",
    ])
  })

  test("to the last character", () => {
    const linkOf = (length: number) => `https://a.example/${"x".repeat(length - "https://a.example/".length)}`
    const around = (length: number) => [length - 1, length, length + 1].map(linkOf)
    // "Acme Fitness: " has 14 characters: a push of 320 has room for a link of 306.
    const pushes = around(306).map((link) => textOf({ channel: "push", link }).length)
    expect(pushes).toEqual([319, 320, 307])
    // Two segments have 306 characters; brand and opt-out leave 269 for the link.
    const texts = around(269).map((link) => textOf({ channel: "sms", link }))
    expect(texts.map((text) => [text.length, segmentsOf(text)])).toEqual([
      [305, 2],
      [306, 2],
      [293, 2],
    ])
    expect(textOf({ channel: "push", link: linkOf(400) })).toBe(linkOf(400))
  })

  test("with a brand of at most 30 characters", () => {
    const brandName = "The Very Long Name of a Fitness Club"
    expect(textOf({ channel: "push", brandName })).toMatch(/^The Very Long Name of a Fitne… - Your/)
    expect(textOf({ channel: "sms", brandName })).toMatch(/^The Very Long Name of a Fitne\.\.\. - Your/)
  })

  test("with the brand's own letters where there is room", () => {
    const input = { channel: "sms", money: null, link: "https://a.example/r", ask: "try_again" } as const
    expect(textOf({ ...input, brandName: "樂 Gym" })).toMatch(/^樂 Gym: /)
    expect(textOf({ ...input, brandName: "樂天" })).toMatch(/^樂天: /)
  })

  test("without a brand of which no letter is left", () => {
    const link = `${LINK}${"x".repeat(80)}`
    expect(textOf({ channel: "sms", brandName: "樂天", link })).toMatch(/^Your payment of \$19\.99 did/)
    expect(textOf({ channel: "sms", brandName: "樂天 24", link })).toMatch(/^24: Your payment of/)
  })

  test("with a mark that it is a reminder, and no second colon after a brand's own punctuation", () => {
    expect(textOf({ channel: "push", step: 2, brandName: "Yahoo!" })).toMatch(/^Yahoo! - Reminder: Your payment/)
    expect(textOf({ channel: "sms", step: 4, brandName: "Yahoo!" })).toMatch(/^Yahoo! - Last reminder: Your payment/)
  })

  test("has a subject and no HTML", () => {
    const { subject, html } = render({ channel: "push" })
    expect([subject, html]).toEqual(["Your payment to Acme Fitness did not go through", null])
  })

  test("has a way to stop in text messages only, in their alphabet", () => {
    expect(textOf({ channel: "sms", locale: "fr" })).toMatch(/STOP/)
    expect(segmentsOf(textOf({ channel: "sms", locale: "fr", link: "https://a.example/r" }))).toBe(1)
    expect(textOf({ channel: "push", locale: "fr" })).not.toMatch(/STOP/)
  })
})

describe("an amount in a text message", () => {
  const amountIn = (channel: "sms" | "push", currency: string, locale = "en") =>
    textOf({ channel, locale, money: { amountMinor: -199_950, currency } })

  test.each([
    ["has its sign where the alphabet has it", "eur", "en", "of -€1,999.50 did"],
    ["has plain spaces", "eur", "fr", "de -1 999,50 € n'a"],
    ["has the code where the alphabet lacks the sign", "inr", "en", "of -1,999.50 INR did"],
    ["has the code in any language", "inr", "de", "über -1,999.50 INR hat"],
  ])("%s", (_, currency, locale, expected) => {
    expect(amountIn("sms", currency, locale)).toContain(expected)
  })

  test("is written as usual in other short messages", () => {
    expect(amountIn("push", "inr")).toContain("-₹1,999.50")
  })
})

describe("after a brand that ends in punctuation", () => {
  test.each(["Yahoo!", "Acme Inc.", "Jeopardy?", "Etc…", "Colon:", "Semi;", "Comma,", "Dash-"])(
    "no mark follows: %s",
    (brandName) => {
      const text = textOf({ brandName, unsubscribeUrl: "https://pay.example.com/stop" })
      expect(text).toContain(`because you have a subscription with ${brandName}\n`)
      expect(textOf({ channel: "push", brandName })).toContain(`${brandName} - Your payment`)
    },
  )

  test.each(["Acme", "Yahoo! Fitness", "Gym (Berlin)", "50%"])("one follows as usual: %s", (brandName) => {
    expect(textOf({ brandName })).toContain(`with ${brandName}.\n`)
    expect(textOf({ channel: "push", brandName })).toContain(`${brandName}: Your payment`)
  })

  test("the brand is not read as a pattern", () => {
    expect(textOf({ brandName: "A$&B!" })).toContain("with A$&B!\n")
    expect(textOf({ channel: "push", brandName: "A$&B!" })).toMatch(/^A\$&B! - Your/)
  })

  test("a subject has no mark after it either", () => {
    expect(render({ brandName: "Yahoo!", caseKind: "at_risk", step: 4 }).subject).toBe(
      "One more offer of help from Yahoo!",
    )
  })
})

describe("the subject", () => {
  test("has at most 120 characters", () => {
    const { subject } = render({ brandName: "Ä".repeat(60), locale: "de", step: 4 })
    expect([...subject].length).toBeLessThanOrEqual(120)
    expect(render({ brandName: "A".repeat(60), step: 0 }).subject).toBe(
      `Your payment to ${"A".repeat(60)} did not go through`,
    )
  })
})

describe("a date", () => {
  const dateIn = (locale: string | null, timeZone: string | null) =>
    /If you do nothing, it ends on (.*)\./.exec(
      textOf({ caseKind: "cancellation", locale, timeZone, endsAt: "2027-10-25T23:30:00.000Z" }),
    )?.[1]

  test.each([
    ["en-US", null, "October 25, 2027"],
    ["en-US", "Europe/Berlin", "October 26, 2027"],
    ["en-GB", "Europe/Berlin", "26 October 2027"],
    ["en_GB", "UTC", "25 October 2027"],
    ["en-GB", null, "25 October 2027"],
    ["en-US", "Mars/Olympus", "October 25, 2027"],
    ["en-US", "", "October 25, 2027"],
    ["en-!!", "Europe/Berlin", "October 25, 2027"],
    ["pt-BR", "Europe/Berlin", "October 26, 2027"],
    [null, "Europe/Berlin", "October 26, 2027"],
  ])("in %s and %s is %s", (locale, timeZone, expected) => {
    expect(dateIn(locale, timeZone)).toBe(expected)
  })

  test("keeps the language where only the zone is unknown", () => {
    const text = textOf({
      caseKind: "cancellation",
      locale: "de-DE",
      timeZone: "Mars/Olympus",
      endsAt: "2027-10-25T23:30:00.000Z",
    })
    expect(text).toContain("25. Oktober 2027")
  })
})

describe("the language", () => {
  test.each([
    ["de", "Guten Tag Ada,"],
    ["DE", "Guten Tag Ada,"],
    ["de-AT", "Guten Tag Ada,"],
    ["de_AT", "Guten Tag Ada,"],
    ["deu", "Hi Ada,"],
    ["xde", "Hi Ada,"],
    ["d", "Hi Ada,"],
    ["de.AT", "Hi Ada,"],
    ["fr-CA", "Bonjour Ada,"],
    ["pt", "Hi Ada,"],
  ])("of %s begins with %s", (locale, greeting) => {
    expect(textOf({ locale }).split("\n")[0]).toBe(greeting)
  })

  test("decides how amounts are written", () => {
    expect(textOf({ locale: "de_DE" }).replaceAll(/\s/g, " ")).toContain("19,99 $")
    expect(textOf({ locale: "pt-BR" })).toContain("$19.99")
  })
})
