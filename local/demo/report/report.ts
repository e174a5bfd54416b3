/** The report at the end. All but the number of deliveries is read from the Worker's API. */
import { formatMoney } from "../../../shared/domain/money.ts"
import type { Figures } from "./figures.ts"
import type { Story } from "./stories.ts"

export interface CompanyReport {
  readonly id: string
  readonly name: string
  /** Who its e-mails are from; null: it sent none. */
  readonly sender: string | null
  readonly members: number
  /** HTTP requests with webhooks that the demo sent. */
  readonly deliveries: number
  /** Records of usage and tickets that the demo sent. */
  readonly signals: number
  /** Messages to its members and its team. */
  readonly messages: number
  readonly figures: Figures
}

export interface Report {
  readonly seed: number
  readonly days: number
  readonly customers: number
  readonly companies: readonly CompanyReport[]
  readonly stories: readonly Story[]
  readonly unexpected: readonly string[]
  readonly seconds: Readonly<Record<"total" | "advancing" | "delivering", number>>
}

/** The report as text. */
export function renderReport({ companies, stories, seconds }: Report): string {
  const time = `${seconds.total.toFixed(0)} s: ${seconds.advancing.toFixed(0)} s moving the clock, ${seconds.delivering.toFixed(0)} s delivering`
  return [...companies.map(renderCompany), renderStories(stories), `${time}\n`].join("\n")
}

function renderCompany({ name, sender, members, deliveries, signals, messages, figures }: CompanyReport): string {
  const { summary, recovery, arms, verdicts, causes, amountsByCause, scores, incentives } = figures
  const sections = [
    section("Events", [
      ["webhooks sent", String(deliveries)],
      ["signals sent", signals === 0 ? "" : String(signals)],
      ...rowsOf(summary.events).map(([status, count]) => [status, count] as const),
    ]),
    section(
      "Cases",
      Object.entries(summary.casesByKind).map(([kind, byStatus]) => [kind, sentence(byStatus)]),
    ),
    section(
      "Recovery",
      recovery.map(({ kind, recovered, ended, opened }) => [
        kind,
        ended === 0 ? "" : `${percent(recovered / ended)}: ${recovered} of ${ended} that ended; ${opened} opened`,
      ]),
    ),
    section("Hold-out", [
      ...arms.map(({ arm, recovered, ended, open }): Row => [arm, `${recovered} of ${ended} recovered, ${open} open`]),
      ["effect", arms.length < 2 ? "" : verdictText(verdicts)],
    ]),
    section(
      "Causes",
      sorted(causes).map(([status, byCause]) => [status, sentence(byCause)]),
    ),
    section(
      "Recovered",
      sorted(amountsByCause).map(([cause, byCurrency]) => [cause, amounts(byCurrency)]),
    ),
    section(
      "Messages",
      Object.entries(summary.nudges).map(([channel, byStatus]) => [channel, sentence(byStatus)]),
    ),
    section("Offers", [["discounts", incentives === 0 ? "" : `${incentives} applied at the provider`]]),
    section("Scores", [
      ["by risk", sentence(scores.byRisk)],
      ["model", scores.model === null ? "" : `${scores.model}; the highest probability is ${percent(scores.highest)}`],
    ]),
  ]
  const title = `${name}: ${members} members, ${messages} messages${sender === null ? "" : ` from ${sender}`}\n`
  return `${title}${sections.filter((text) => text !== "").join("")}`
}

function renderStories(stories: readonly Story[]): string {
  const told = stories.map(
    ({ title, lines, url }) => `${title}\n${lines.map((line) => `  ${line}\n`).join("")}  ${url}\n`,
  )
  return told.length === 0 ? "" : `Three members\n\n${told.join("\n")}`
}

/** The API does not guarantee the order of names. */
const sorted = <T>(byName: Readonly<Record<string, T>>): [string, T][] =>
  Object.entries(byName).sort(([a], [b]) => (a < b ? -1 : 1))

type Row = readonly [name: string, value: string]

const NAME_WIDTH = 18

const section = (title: string, rows: readonly Row[]): string =>
  rows
    .filter(([, value]) => value !== "")
    .map(([name, value], index) => `  ${(index === 0 ? title : "").padEnd(11)}${name.padEnd(NAME_WIDTH)}${value}\n`)
    .join("")

const rowsOf = (byName: Readonly<Record<string, number>>): [string, string][] =>
  sorted(byName).flatMap(([name, count]) => (count === 0 ? [] : [[name, String(count)] as [string, string]]))

const sentence = (byName: Readonly<Record<string, number>>): string =>
  rowsOf(byName)
    .map(([name, count]) => `${count} ${name}`)
    .join(", ")

/** One phrase where all kinds of case have the same verdict. */
function verdictText(verdicts: Readonly<Record<string, string>>): string {
  const phrases = sorted(verdicts).map(([kind, verdict]) => [kind, verdict.replaceAll("_", " ")] as const)
  const distinct = new Set(phrases.map(([, phrase]) => phrase))
  return distinct.size === 1 ? [...distinct].join() : phrases.map((pair) => pair.join(" ")).join(", ")
}

const amounts = (byCurrency: Readonly<Record<string, number>>): string =>
  sorted(byCurrency)
    .map(([currency, amountMinor]) => formatMoney({ amountMinor, currency }, "en"))
    .join(", ")

const percent = (share: number): string => `${(100 * share).toFixed(0)} %`
