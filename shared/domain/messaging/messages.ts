/**
 * Messages to members, in their language: what happened, what to do, what happens next, and one link. Rendering is pure;
 * channels send. Unknown values (null) are omitted. Over 300 lines because short and long messages share the wording and
 * its values.
 */

import type { Incentive, Instant, Money, TemplateRef } from "../facts.ts"
import { formatMoney } from "../money.ts"
import type { MemberMessageAction } from "../recovery/decline-codes.ts"
import type { MemberChannel } from "../settings.ts"
import type { CaseKind } from "../state.ts"
import { brandOf, emailOf, oneLine, truncate, webLink } from "./messages/clean.ts"
import { de } from "./messages/de.ts"
import { emailHtml } from "./messages/email-html.ts"
import { en } from "./messages/en.ts"
import { es } from "./messages/es.ts"
import { firstNameOf } from "./messages/first-name.ts"
import { fr } from "./messages/fr.ts"
import type { Look } from "./messages/look.ts"
import { type Billing, type MessageStage, type Phrases, type PhraseValues, stageOf } from "./messages/phrases.ts"
import { isGsm, segmentsOf, stripToGsm, toGsm } from "./messages/sms.ts"
import { type MessagePlace, type Template, type TemplatePart, templateFor, wordsOf } from "./templates/templates.ts"

export { firstNameOf } from "./messages/first-name.ts"
export type { Billing } from "./messages/phrases.ts"
export { renderTeamAlert } from "./messages/team-alert.ts"

/** `automatic`: the provider charges a card or account. `manual`: the invoice is sent, and the member pays it. */
export type Collection = "automatic" | "manual"

/** The total of several invoices in one currency. */
export interface CurrencyTotal {
  readonly totalMinor: number
  readonly currency: string
}

/** What decides which template words a message. */
export interface Occasion {
  readonly channel: MemberChannel
  readonly caseKind: CaseKind
  readonly collection: Collection
  /** Day of the playbook step; null for a manual message. */
  readonly step: number | null
  /** What to ask for in a payment case; null: the reason of the failure is not known. */
  readonly ask: MemberMessageAction | null
  /** The member has canceled the subscription of the bill: the message does not mention keeping it. */
  readonly isLeaving: boolean
  readonly locale: string | null
}

/** The input of a message. */
export interface NudgeInput extends Occasion {
  /** What the invoice of a payment case is for. A one-off invoice is never called a subscription. */
  readonly billing: Billing
  /** The person's name at the provider; the greeting uses the first name if it is clearly one. */
  readonly name: string | null
  /** What remains to be paid; null: not known. */
  readonly money: Money | null
  /** All open invoices of the person; null: only this one. */
  readonly bills: { readonly invoiceCount: number; readonly totals: readonly CurrencyTotal[] } | null
  /** When the provider tries again; null: not known, or never. */
  readonly nextAttemptAt: Instant | null
  /** When a canceled subscription ends; null: not known. */
  readonly endsAt: Instant | null
  readonly now: Instant
  /** The member's time zone, for dates; null: UTC. */
  readonly timeZone: string | null
  readonly brandName: string
  readonly supportEmail: string | null
  /** Our own tracked link, http(s). */
  readonly link: string
  readonly unsubscribeUrl: string | null
  readonly incentive: Incentive | null
  /** The company's templates; the shipped words are used where none fits. */
  readonly templates?: readonly Template[]
  /** How the company's e-mails look; absent or null: it has chosen nothing. */
  readonly look?: Look | null
}

/** A message without its address. `html` is null for every channel except e-mail. */
export interface Rendered {
  readonly subject: string
  readonly text: string
  readonly html: string | null
}

/** A message of a nudge, and the company's template that words it; null: the shipped words. */
export interface RenderedNudge extends Rendered {
  readonly template: TemplateRef | null
}

const SUBJECT_MAX = 120
/** Each segment of a text message is billed, and longer texts are not read. */
const SEGMENTS_MAX = 2
/** About what a phone shows of an expanded push notification. */
const PUSH_MAX = 320
/** Longer brand names are truncated in short messages. */
const SHORT_BRAND_MAX = 30

const LANGUAGES: ReadonlyMap<string, Phrases> = new Map([en, de, fr, es].map((phrases) => [phrases.language, phrases]))

/** The text of a message before it is formatted for its channel. */
interface Wording {
  readonly subject: string
  readonly opening: string
  readonly ask: string
  readonly outcome: readonly string[]
  readonly button: string
  readonly reason: string
  readonly short: (values: PhraseValues) => string
}

/** For a member who has canceled, the last reminder of a bill must not mention keeping the subscription. */
function stageFor({ step, caseKind, isLeaving }: Occasion): MessageStage {
  const stage = stageOf(step)
  return stage === "last" && caseKind === "payment" && isLeaving ? "reminder" : stage
}

/** The phrases of a locale, in English where its language has none, and the locale for numbers and dates. */
function languageOf(wanted: string | null): { readonly phrases: Phrases; readonly locale: string } {
  const tag = (wanted ?? "").replaceAll("_", "-")
  const language = tag.replace(/-.*/, "").toLowerCase()
  const phrases = LANGUAGES.get(language) ?? en
  return { phrases, locale: phrases.language === language ? tag : "en" }
}

/** Which message it is, for the choice of a template. */
export const placeOf = (occasion: Occasion): MessagePlace => ({
  caseKind: occasion.caseKind,
  stage: stageFor(occasion),
  channel: occasion.channel,
  language: languageOf(occasion.locale).phrases.language,
  // An invoice that the member pays manually asks for no card.
  ask: occasion.caseKind === "payment" && occasion.collection === "automatic" ? (occasion.ask ?? "update_card") : null,
})

/** The input with what is derived from it. */
interface Rendering {
  readonly input: NudgeInput
  readonly phrases: Phrases
  /** The locale for numbers and dates, in the language of the phrases. */
  readonly locale: string
  readonly values: PhraseValues
  readonly stage: MessageStage
}

function wordingOf(rendering: Rendering): Wording {
  const { input, phrases, values, stage } = rendering
  const billing = input.caseKind === "payment" ? input.billing : "subscription"
  const reason = phrases.reason[billing](values.brand)
  if (input.caseKind !== "payment") {
    const { subject, opening, ask, outcome, button, short } = phrases[input.caseKind]
    return {
      ...{ subject: subject[stage](values), opening: opening[stage](values) },
      ...{ ask, outcome: [outcome(values)], button, reason, short },
    }
  }
  const paid = phrases.paid[billing][stage]
  if (input.collection === "manual") {
    const { subject, opening, ask, button, short } = phrases.overdue
    return {
      ...{ subject: subject[stage](values), opening: opening[stage](values) },
      ask,
      outcome: [paid],
      button,
      reason,
      short,
    }
  }
  const ask = input.ask ?? "update_card"
  const { failed } = phrases
  return {
    subject: failed.subject[stage](values),
    opening: failed.opening[stage](values),
    ask: failed.ask[ask],
    outcome: [...nextAttempt(rendering), paid],
    button: failed.button[ask],
    reason,
    short: failed.short[ask],
  }
}

/** The wording with the company's own words in place of the shipped ones. */
function inOwnWords(
  wording: Wording,
  template: Template | null,
  { input, phrases, values, locale }: Rendering,
): Wording {
  if (template === null) return wording
  const { nextAttemptAt, now, timeZone, bills } = input
  const fields = (own: PhraseValues) => ({
    ...{ brand: own.brand, amount: own.amount, endDate: own.endDate, firstName: firstNameOf(input.name) },
    nextAttempt: nextAttemptAt === null || nextAttemptAt <= now ? null : dateIn(nextAttemptAt, locale, timeZone),
    invoiceCount: bills?.invoiceCount ?? 1,
  })
  const own = (part: TemplatePart) => wordsOf(template, part, fields(values), phrases.language)
  return {
    ...wording,
    subject: own("subject") ?? wording.subject,
    opening: own("opening") ?? wording.opening,
    ask: own("ask") ?? wording.ask,
    button: own("button") ?? wording.button,
    short: (shortValues) =>
      wordsOf(template, "short", fields(shortValues), phrases.language) ?? wording.short(shortValues),
  }
}

/** When the provider tries again, if that is in the future. */
function nextAttempt({ input: { nextAttemptAt, now, timeZone }, phrases, locale }: Rendering): readonly string[] {
  return nextAttemptAt === null || nextAttemptAt <= now
    ? []
    : [phrases.nextAttempt(dateIn(nextAttemptAt, locale, timeZone))]
}

/** One sentence about all open invoices, if there are several. */
function totalOf({ input: { bills }, phrases, locale }: Rendering): readonly string[] {
  if (bills === null || bills.invoiceCount < 2) return []
  const amounts = bills.totals.map(({ totalMinor, currency }) =>
    formatMoney({ amountMinor: totalMinor, currency }, locale),
  )
  return [phrases.total(bills.invoiceCount, amounts.length === 0 ? null : amounts.join(" + "))]
}

/** No offer for a one-off invoice: it has no next period. */
const offerOf = ({ incentive, billing, caseKind }: NudgeInput, phrases: Phrases): readonly string[] =>
  incentive === null || (caseKind === "payment" && billing === "one_off") ? [] : [phrases.incentive(incentive)]

/**
 * The longest text that fits. A text message uses the GSM alphabet where possible: one other character halves the capacity.
 * What does not fit is dropped in this order: non-GSM letters of the brand, offer, total, amount, sentence, brand; the link and
 * the opt-out never are.
 */
function renderShort(wording: Wording, rendering: Rendering): Rendered | null {
  const { input, phrases, locale, values, stage } = rendering
  const isSms = input.channel === "sms"
  const write = isSms ? toGsm : (text: string) => text
  const link = webLink(input.link)
  const stop = isSms ? [write(phrases.stop)] : []
  const offer = offerOf(input, phrases).map(write)
  const total = totalOf(rendering).map(write)
  const brand = truncate(values.brand, SHORT_BRAND_MAX)
  const amount = input.money !== null && isSms ? gsmAmount(input.money, locale) : values.amount
  const sentence = (amountText: string | null) =>
    write(phrases.mark[stage] + wording.short({ ...values, amount: amountText }))
  const from = (name: string) => withoutDoublePunctuation(phrases.from(name), name)
  const names = isSms ? [from(brand), ...plainName(brand).map(from)] : [from(brand)]
  const bodies = [
    [sentence(amount), link, ...total, ...offer, ...stop],
    [sentence(amount), link, ...total, ...stop],
    [sentence(amount), link, ...stop],
    [sentence(null), link, ...stop],
  ]
  const texts = [
    ...bodies.flatMap((body) => names.map((name) => [name, ...body])),
    ...names.map((name) => [name, link, ...stop]),
    ...bodies,
    [link, ...stop],
  ].map((parts) => parts.join(" "))
  const fits = (text: string) => (isSms ? segmentsOf(text) <= SEGMENTS_MAX : text.length <= PUSH_MAX)
  const text = texts.find(fits) ?? (isSms ? undefined : texts.at(-1))
  return text === undefined ? null : { subject: wording.subject, text, html: null }
}

/** The brand in the GSM alphabet, if any letters or digits remain. */
function plainName(brand: string): readonly string[] {
  const plain = stripToGsm(brand)
  return /[\p{L}\p{N}]/u.test(plain) ? [plain] : []
}

/** The amount in the GSM alphabet: with the currency code where the currency sign is not in it. */
function gsmAmount(money: Money, locale: string): string {
  const plain = formatMoney(money, locale).replaceAll(/\p{Zs}/gu, " ")
  if (isGsm(plain)) return plain
  const number = formatMoney(money, null).replaceAll(/[^\d.,-]/g, "")
  return `${number} ${money.currency.toUpperCase()}`
}

function renderLong(wording: Wording, rendering: Rendering): Rendered {
  const { input, phrases, values } = rendering
  const link = webLink(input.link)
  const supportEmail = emailOf(input.supportEmail)
  const greeting = phrases.greeting(firstNameOf(input.name))
  const help = supportEmail === null ? [] : [phrases.help(supportEmail)]
  const body = [wording.opening, ...totalOf(rendering), wording.ask].map((text) =>
    withoutDoublePunctuation(text, values.brand),
  )
  const after = [...offerOf(input, phrases), wording.outcome.join(" ")]
  if (input.channel === "dm") {
    return { subject: wording.subject, text: [greeting, ...body, link, ...after, ...help].join("\n\n"), html: null }
  }
  const unsubscribeUrl = input.unsubscribeUrl === null ? null : webLink(input.unsubscribeUrl)
  const footer = withoutDoublePunctuation(wording.reason, values.brand)
  const optOut = unsubscribeUrl === null ? "" : `\n${phrases.unsubscribe}: ${unsubscribeUrl}`
  const look = input.look ?? null
  const html = emailHtml({
    language: phrases.language,
    subject: wording.subject,
    preheader: wording.ask,
    brand: values.brand,
    paragraphs: [greeting, ...body, ...after, ...help],
    button: wording.button,
    link,
    linkHint: phrases.linkHint,
    footer,
    unsubscribe: unsubscribeUrl === null ? null : { text: phrases.unsubscribe, url: unsubscribeUrl },
    look,
  })
  const blocks = { signature: blockOf(look?.signature), postalAddress: blockOf(look?.postalAddress) }
  const text = [
    ...[greeting, ...body, `${wording.button}: ${link}`, ...after, ...help, ...blocks.signature],
    ...[`${footer}${optOut}`, ...blocks.postalAddress],
  ]
  return { subject: wording.subject, text: `${text.join("\n\n")}\n`, html }
}

/** Lines as one paragraph of plain text, if there are any. */
const blockOf = (lines: readonly string[] = []): readonly string[] => (lines.length === 0 ? [] : [lines.join("\n")])

/** After a brand that ends in punctuation ("Yahoo!", "Acme Inc."), a full stop is removed and a colon becomes a dash. */
function withoutDoublePunctuation(text: string, brand: string): string {
  if (!/[.!?…:;,-]$/.test(brand)) return text
  return text.replaceAll(`${brand}.`, () => brand).replaceAll(`${brand}:`, () => `${brand} -`)
}

/** The date, formatted for that locale. */
function dateIn(at: Instant, locale: string, timeZone: string | null): string {
  const format = (...options: readonly [string, string]) =>
    new Intl.DateTimeFormat(options[0], { dateStyle: "long", timeZone: options[1] }).format(new Date(at))
  try {
    return format(locale, timeZone ?? "UTC")
  } catch {
    return format(locale.slice(0, 2), "UTC") // RangeError: invalid language tag or zone
  }
}

/**
 * The message for one nudge, in the language of `locale` or else in English. Names are reduced to plain text; the only
 * addresses in it are the link, the unsubscribe link and the support address. Null for a text message whose link and
 * opt-out alone exceed two segments.
 */
export function renderNudge(input: NudgeInput): RenderedNudge | null {
  const { phrases, locale } = languageOf(input.locale)
  const values: PhraseValues = {
    brand: brandOf(input.brandName) || phrases.unnamed,
    amount: input.money === null ? null : formatMoney(input.money, locale),
    endDate: input.endsAt === null ? null : dateIn(input.endsAt, locale, input.timeZone),
  }
  const place = placeOf(input)
  const rendering: Rendering = { input, phrases, locale, values, stage: place.stage }
  const template = templateFor(input.templates ?? [], place)
  const raw = inOwnWords(wordingOf(rendering), template, rendering)
  const wording = { ...raw, subject: oneLine(withoutDoublePunctuation(raw.subject, values.brand), SUBJECT_MAX) }
  const isShort = input.channel === "sms" || input.channel === "push"
  const rendered = isShort ? renderShort(wording, rendering) : renderLong(wording, rendering)
  return rendered && { ...rendered, template: template && refOf(template) }
}

const refOf = ({ id, version, variant }: Template): TemplateRef => ({
  ...{ id, version },
  ...(variant !== undefined && { variant }),
})
