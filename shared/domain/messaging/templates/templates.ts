/**
 * A company's own words in place of the shipped ones. Links, greeting, offer, the way to unsubscribe and what the law asks for
 * are not part of a template: they are always written, so that no template can leave them out.
 */
import type { Instant } from "../../facts.ts"
import type { MemberMessageAction } from "../../recovery/decline-codes.ts"
import type { MemberChannel } from "../../settings.ts"
import type { CaseKind } from "../../state.ts"
import type { MessageStage } from "../messages/phrases.ts"
import { type FieldValue, fieldsOf, parseText, readingsOf, writeText } from "./syntax.ts"

/** The parts of a message that a company may word. */
export const PARTS = ["subject", "opening", "ask", "button", "short"] as const
export type TemplatePart = (typeof PARTS)[number]

/** The words of a template; a part that is left out is written as shipped. */
export type TemplateWords = { readonly [Part in TemplatePart]?: string | undefined }

/** Which messages a template is for; null: all. */
export interface TemplatePlace {
  readonly caseKind: CaseKind
  readonly stage: MessageStage | null
  /** What the member is asked for in a payment case. */
  readonly ask: MemberMessageAction | null
  readonly channel: MemberChannel | null
  /** Two letters (ISO 639-1). */
  readonly language: string | null
}

/** Other words for the messages of a template. `weight` is its share of cases, relative to the other weights. */
export interface Variant {
  readonly name: string
  readonly weight: number
  readonly words: TemplateWords
}

/** A comparison of a template's own words with its variants. */
export interface Experiment {
  readonly id: string
  readonly startedAt: Instant
  readonly controlWeight: number
  readonly variants: readonly Variant[]
}

/** A template in force. `id`, `version` and `variant` say in the ledger which words went out. */
export interface Template extends TemplatePlace {
  readonly id: string
  readonly version: number
  readonly words: TemplateWords
  /** The comparison with its variants that is under way. */
  readonly experiment?: Experiment | null
  /** The variant whose words these are, for a case that takes part in the comparison. */
  readonly variant?: string
}

/** A message that is to be worded. */
export interface MessagePlace {
  readonly caseKind: CaseKind
  readonly stage: MessageStage
  readonly ask: MemberMessageAction | null
  readonly channel: MemberChannel
  readonly language: string
}

/** Fields that a text may name. `invoiceCount` is a number, which a plural may count. */
export const FIELDS = ["brand", "firstName", "amount", "endDate", "nextAttempt", "invoiceCount"] as const
const COUNTED = "invoiceCount"

/** Characters of each part: what mail programs and phones show. */
export const PART_CHARS_MAX: Readonly<Record<TemplatePart, number>> = {
  subject: 120,
  opening: 600,
  ask: 600,
  button: 40,
  short: 200,
}

/** Why a part is refused, for the person who wrote it. */
export interface TemplateFault {
  readonly part: TemplatePart
  readonly reason: string
}

/**
 * Addresses would compete with the tracked link, and are how a stolen key would be used for phishing. Mail programs and phones
 * make links of plain domains too; abbreviations ("e.g.", "z.B.") have single letters.
 */
const ADDRESS = /\/\/|\bwww\.|[^\s@]@[^\s@]+\.[^\s@]|[\p{L}\p{N}-]{2}\.\p{L}{2}|\.\p{L}{2,}[/:?#]/iu

/** Whether mail programs or phones make a link of something in a text. */
export const holdsAddress = (text: string): boolean => ADDRESS.test(text)

const LINE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u

/** The faults of words; none when they can be saved. */
export function faultsOf(words: TemplateWords): readonly TemplateFault[] {
  const faults: TemplateFault[] = []
  for (const part of PARTS) {
    const source = words[part]
    const reason = source === undefined ? null : faultOf(source, PART_CHARS_MAX[part])
    if (reason !== null) faults.push({ part, reason })
  }
  if (PARTS.every((part) => words[part] === undefined)) faults.push({ part: "subject", reason: "nothing is worded" })
  return faults
}

function faultOf(source: string, charsMax: number): string | null {
  if (source.trim() === "") return "it is empty"
  if (source.length > charsMax) return `it is longer than ${charsMax} characters`
  if (LINE.test(source)) return "expected one line of plain text"
  const parsed = parseText(source)
  if (!parsed.ok) return `${parsed.fault.reason} (at character ${parsed.fault.at + 1})`
  // As it is written: "https:{invoiceCount, plural, other {//evil.example}}" has no address in its source.
  const written = readingsOf(parsed.text, "value")
  if (written.some(holdsAddress)) return "it contains an address; the link is added automatically"
  const { named, counted } = fieldsOf(parsed.text)
  const unknown = [...named, ...counted].find((name) => !FIELDS.some((field) => field === name))
  if (unknown !== undefined) return `there is no field “${unknown}”; there are ${FIELDS.join(", ")}`
  const uncountable = [...counted].find((name) => name !== COUNTED)
  return uncountable === undefined ? null : `only ${COUNTED} can be counted, not “${uncountable}”`
}

/** Places of a message that a template may name, the most specific first: of two templates the more specific one is used. */
const ORDER = ["channel", "ask", "stage", "language"] as const satisfies readonly (keyof MessagePlace)[]

/** The template for a message: the most specific of those that fit, of equals the newest version; null: the shipped words. */
export function templateFor(templates: readonly Template[], place: MessagePlace): Template | null {
  const fitting = templates.filter(
    (template) =>
      template.caseKind === place.caseKind &&
      ORDER.every((name) => template[name] === null || template[name] === place[name]),
  )
  return fitting.reduce<Template | null>(
    (best, each) => (best === null || isMoreSpecific(each, best) ? each : best),
    null,
  )
}

function isMoreSpecific(one: Template, other: Template): boolean {
  for (const name of ORDER) if ((one[name] === null) !== (other[name] === null)) return other[name] === null
  return one.version > other.version
}

/** A part in the company's words; null where the template does not word it, or a field has no value in this message. */
export function wordsOf(
  template: Pick<Template, "words"> | null,
  part: TemplatePart,
  values: Readonly<Record<string, FieldValue>>,
  locale: string,
): string | null {
  const source = template?.words[part]
  if (source === undefined) return null
  const parsed = parseText(source)
  return parsed.ok ? writeText(parsed.text, values, locale) : null
}
