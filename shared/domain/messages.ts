/**
 * What a member is told, in the member's language: what happened, what to do, what happens next, and one link. Rendering
 * is pure; sending is the channels' affair.
 */
import type { MemberAsk } from "./decline-codes.ts"
import type { Incentive, Money } from "./facts.ts"
import { brandOf, cut, emailOf, firstNameOf, oneLine, webLink } from "./messages/clean.ts"
import { de } from "./messages/de.ts"
import { emailHtml } from "./messages/email-html.ts"
import { en } from "./messages/en.ts"
import { es } from "./messages/es.ts"
import { fr } from "./messages/fr.ts"
import { type Phrases, type Stage, stageOf } from "./messages/phrases.ts"
import { formatMoney } from "./money.ts"
import type { MemberChannel } from "./settings.ts"
import type { CaseKind } from "./state.ts"

export { firstNameOf } from "./messages/clean.ts"
export { renderTeamAlert } from "./messages/team-alert.ts"

/** All that goes into a nudge. */
export interface NudgeInput {
  readonly channel: MemberChannel
  readonly caseKind: CaseKind
  /** Day of the playbook step; null when a person sends it by hand. */
  readonly step: number | null
  /** What to ask for in a payment case; null: nothing in particular is known. */
  readonly ask: MemberAsk | null
  readonly firstName: string | null
  readonly money: Money | null
  /** All open bills of the person, where there are several: how many, and what they come to in each currency. */
  readonly bills?: { readonly invoiceCount: number; readonly totals: readonly Total[] }
  /** Whether a subscription that was canceled ends within days; null where that is not known. */
  readonly endsSoon?: boolean | null
  /** The member has canceled the subscription of a failed payment: nothing is said about keeping it. */
  readonly isLeaving?: boolean
  readonly locale: string | null
  readonly brandName: string
  readonly supportEmail: string | null
  /** Our own tracked link, http(s). */
  readonly link: string
  readonly unsubscribeUrl: string | null
  readonly incentive: Incentive | null
}

/** What some bills come to in one currency. */
export interface Total {
  readonly totalMinor: number
  readonly currency: string
}

/** A message without its address. `html` is null on every channel but e-mail. */
export interface Rendered {
  readonly subject: string
  readonly text: string
  readonly html: string | null
}

const SUBJECT_MAX = 120
/** Two concatenated SMS of 160 characters; more costs the sender and tires the reader. */
const SHORT_MAX = 320
/** What stays of a brand in a short message. */
const SHORT_BRAND_MAX = 30

const LANGUAGES: ReadonlyMap<string, Phrases> = new Map([en, de, fr, es].map((phrases) => [phrases.language, phrases]))

/** The words of a message before it takes the form of its channel. */
interface Wording {
  readonly subject: string
  readonly opening: string
  readonly ask: string
  readonly outcome: string
  readonly button: string
  readonly short: (brand: string, amount: string | null) => string
}

/**
 * The last reminder of a cancellation says that the end is near, and that of a payment that the subscription can be kept:
 * months before the end, and to who has canceled, it reads as the one before.
 */
function stageFor({ step, caseKind, endsSoon, isLeaving = false }: NudgeInput): Stage {
  const stage = stageOf(step)
  const isUntrue = (caseKind === "cancellation" && endsSoon === false) || (caseKind === "payment" && isLeaving)
  return stage === "last" && isUntrue ? "reminder" : stage
}

function wordingOf(phrases: Phrases, input: NudgeInput, stage: Stage, brand: string, amount: string | null): Wording {
  const phrase = phrases[input.caseKind]
  const said = {
    subject: oneLine(phrase.subject[stage](brand, amount), SUBJECT_MAX),
    opening: phrase.opening[stage](brand, amount),
    outcome: phrase.outcome[stage],
  }
  if (input.caseKind !== "payment") {
    const stay = phrases[input.caseKind]
    return { ...said, ask: stay.ask, button: stay.button, short: stay.short }
  }
  const ask = input.ask ?? "update_card"
  const { payment } = phrases
  return { ...said, ask: payment.ask[ask], button: payment.button[ask], short: payment.short[ask] }
}

/** The fullest of the given texts that fits; the last one is sent whatever its length, as it is little but the link. */
const firstThatFits = (texts: readonly [string, ...string[]]): string =>
  texts.find((text) => text.length <= SHORT_MAX) ?? texts[texts.length - 1] ?? texts[0]

function renderShort(
  wording: Wording,
  phrases: Phrases,
  input: NudgeInput,
  brand: string,
  amount: string | null,
): Rendered {
  const link = webLink(input.link)
  const stop = input.channel === "sms" ? [phrases.stop] : []
  const offer = input.incentive ? [phrases.incentive(input.incentive)] : []
  const total = totalSentence(phrases, input)
  const shortBrand = cut(brand, SHORT_BRAND_MAX)
  const sentence = phrases.mark[stageFor(input)] + wording.short(shortBrand, amount)
  const text = firstThatFits([
    [sentence, link, ...total, ...offer, ...stop].join(" "),
    [sentence, link, ...total, ...stop].join(" "),
    [sentence, link, ...stop].join(" "),
    [`${shortBrand}:`, link, ...stop].join(" "),
    [link, ...stop].join(" "),
  ])
  return { subject: wording.subject, text, html: null }
}

/** One sentence about all open bills, where there are several. */
function totalSentence(phrases: Phrases, { bills, locale }: NudgeInput): readonly string[] {
  if (bills === undefined || bills.invoiceCount < 2) return []
  const language = locale?.slice(0, 2).toLowerCase()
  const amounts = bills.totals.map(({ totalMinor, currency }) =>
    formatMoney({ amountMinor: totalMinor, currency }, phrases.language === language ? locale : "en"),
  )
  return [phrases.total(bills.invoiceCount, amounts.length === 0 ? null : amounts.join(" + "))]
}

function renderLong(wording: Wording, phrases: Phrases, input: NudgeInput, brand: string): Rendered {
  const link = webLink(input.link)
  const supportEmail = emailOf(input.supportEmail)
  const greeting = phrases.greeting(firstNameOf(input.firstName))
  const offer = input.incentive ? [phrases.incentive(input.incentive)] : []
  const help = supportEmail === null ? [] : [phrases.help(supportEmail)]
  const body = [wording.opening, ...totalSentence(phrases, input), wording.ask]
  const after = [...offer, wording.outcome]
  if (input.channel === "dm") {
    return { subject: wording.subject, text: [greeting, ...body, link, ...after, ...help].join("\n\n"), html: null }
  }
  const unsubscribeUrl = input.unsubscribeUrl === null ? null : webLink(input.unsubscribeUrl)
  const footer = [phrases.reason(brand)]
  const optOut = unsubscribeUrl === null ? [] : [`${phrases.unsubscribe}: ${unsubscribeUrl}`]
  const html = emailHtml({
    language: phrases.language,
    subject: wording.subject,
    preheader: wording.ask,
    brand,
    paragraphs: [greeting, ...body, ...after, ...help],
    button: wording.button,
    link,
    linkHint: phrases.linkHint,
    footer,
    unsubscribe: unsubscribeUrl === null ? null : { text: phrases.unsubscribe, url: unsubscribeUrl },
  })
  const text = [
    greeting,
    ...body,
    `${wording.button}: ${link}`,
    ...after,
    ...help,
    `${footer.join(" ")}\n${optOut.join("")}`.trim(),
  ]
  return { subject: wording.subject, text: `${text.join("\n\n")}\n`, html }
}

/**
 * The message for one nudge, in the language of `locale` or else in English. Names and brands are reduced to plain words;
 * the only addresses in it are the link, the unsubscribe link and the support address.
 */
export function renderNudge(input: NudgeInput): Rendered {
  const language = input.locale?.slice(0, 2).toLowerCase() ?? ""
  const phrases = /^[a-z]{2}(?:[-_]|$)/i.test(input.locale ?? "") ? (LANGUAGES.get(language) ?? en) : en
  const brand = brandOf(input.brandName) || phrases.unnamed
  const amount =
    input.money === null ? null : formatMoney(input.money, phrases.language === language ? input.locale : "en")
  const wording = wordingOf(phrases, input, stageFor(input), brand, amount)
  const isShort = input.channel === "sms" || input.channel === "push"
  return isShort ? renderShort(wording, phrases, input, brand, amount) : renderLong(wording, phrases, input, brand)
}
