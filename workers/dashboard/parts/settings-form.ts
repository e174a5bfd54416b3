/** The settings as fields of forms, and back. What a form is not about stays as it is; the API validates the result. */
import type { AnswerOf } from "../../reference/answers/all.ts"

export type Settings = AnswerOf<"GET /api/settings">
export type PlaybookKind = keyof Settings["playbooks"]
export type PlaybookStep = Settings["playbooks"][PlaybookKind][number]

type Form = Readonly<Record<string, string>>

/** Rows of a form are read until this number; a playbook has at most twenty steps. */
const ROWS_MAX = 30

/** Empty rows at the end of a list, to add to it. */
export const EMPTY_ROWS = 2

const orNull = (text = ""): string | null => (text.trim() === "" ? null : text)

/** A number field; what is no number becomes null in JSON, which the API refuses with the name of the field. */
const numberOf = (text = ""): number => (text.trim() === "" ? Number.NaN : Number(text))

/** The rows of a list whose `key` field is filled in; a row without it is removed. */
const rowsOf = <Row>(form: Form, prefix: string, key: string, read: (field: (name: string) => string) => Row): Row[] =>
  Array.from({ length: ROWS_MAX }, (_, index) => (name: string) => form[`${prefix}.${index}.${name}`] ?? "")
    .filter((field) => field(key).trim() !== "")
    .map(read)

/** Names, times and limits. */
export function withGeneral(current: Settings, form: Form) {
  const { quietStart = "", quietEnd = "" } = form
  return {
    ...current,
    brandName: orNull(form.brandName),
    supportEmail: orNull(form.supportEmail),
    country: orNull(form.country),
    timeZone: form.timeZone ?? current.timeZone,
    invoiceAgeDaysMax: numberOf(form.invoiceAgeDaysMax),
    quietHours: quietStart === "" && quietEnd === "" ? null : { start: quietStart, end: quietEnd },
    alertTeam: form.alertTeam === "yes",
  }
}

/** The steps of one kind of case, in the order of their days. */
export function withPlaybook(current: Settings, kind: PlaybookKind, form: Form) {
  const steps = rowsOf(form, "step", "day", (field) => ({
    day: numberOf(field("day")),
    channel: orNull(field("channel")),
    incentive: incentiveOf(field),
  }))
  return { ...current, playbooks: { ...current.playbooks, [kind]: steps.sort((a, b) => a.day - b.day) } }
}

function incentiveOf(field: (name: string) => string) {
  switch (field("incentive")) {
    case "discount":
      return { kind: "discount", percentOff: numberOf(field("percentOff")), months: numberOf(field("months")) }
    case "free_days":
      return { kind: "free_days", days: numberOf(field("days")) }
    default:
      return null
  }
}

/** The order of channels, and how many messages a member gets at most. */
export const withLimits = (current: Settings, form: Form) => ({
  ...current,
  channelOrder: rowsOf(form, "channel", "name", (field) => field("name")),
  frequencyCaps: rowsOf(form, "cap", "max", (field) => ({
    max: numberOf(field("max")),
    hours: numberOf(field("hours")),
  })),
  incentivePeriodDays: numberOf(form.incentivePeriodDays),
})

/** When members at risk are contacted, and how many cases are held out; an empty share is the deployment's. */
export const withRisk = (current: Settings, form: Form) => ({
  ...current,
  holdoutPercentage: orNull(form.holdoutPercentage) === null ? null : numberOf(form.holdoutPercentage),
  atRisk: Object.fromEntries(Object.keys(current.atRisk).map((name) => [name, numberOf(form[name])])),
})
