/** What happened to three members, told from the stories of their cases in the API. */
import { z } from "zod"
import { formatMoney } from "../../../shared/domain/money.ts"
import { browserUrl } from "../../sign-in-link.ts"
import { askApi, type World } from "../http.ts"
import type { CaseStory } from "./figures.ts"

export interface Story {
  readonly caseId: string
  readonly title: string
  readonly lines: readonly string[]
  /** The case in the dashboard. */
  readonly url: string
}

const STORIES = 3

const customer = z.object({ name: z.string().nullable() })
const scores = z.object({
  data: z.array(z.object({ id: z.string(), reasons: z.array(z.object({ label: z.string(), logOdds: z.number() })) })),
})

/** Three cases of a company, of different kinds where there are such. */
export async function tellStories(world: World, cases: readonly CaseStory[]): Promise<readonly Story[]> {
  const stories: Story[] = []
  for (const one of chooseCases(cases)) {
    const path = `/api/customers/${encodeURIComponent(one.customerId)}`
    const { name } = await askApi(world, path, customer)
    const { data } = await askApi(world, `${path}/scores?limit=200`, scores)
    stories.push({
      caseId: one.id,
      title: titleOf(one, name ?? one.customerId),
      lines: linesOf(one, new Map(data.map(({ id, reasons }) => [id, reasons]))),
      url: `${browserUrl(world.workerUrl)}/dashboard/cases/${encodeURIComponent(one.id)}`,
    })
  }
  return stories
}

/** A payment that a message recovered, a case with an offer, and a member at risk; what is missing, any other case. */
export function chooseCases(cases: readonly CaseStory[]): readonly CaseStory[] {
  const wanted: readonly ((one: CaseStory) => number)[] = [
    (one) => (one.kind === "payment" && one.cause === "nudge" && has(one, "link_clicked") ? 1 + sentIn(one) : 0),
    (one) => (has(one, "incentive_applied") ? 1 + Number(one.status === "recovered") + sentIn(one) : 0),
    (one) =>
      one.kind === "at_risk"
        ? 1 + sentIn(one) + 2 * Number(has(one, "link_clicked")) + Number(one.status === "recovered")
        : 0,
    ...Array.from({ length: STORIES }, () => (one: CaseStory) => one.timeline.length),
  ]
  const chosen: CaseStory[] = []
  for (const rank of wanted) {
    const left = cases.filter((one) => !chosen.includes(one) && rank(one) > 0)
    const best = left.toSorted((a, b) => rank(b) - rank(a) || a.id.localeCompare(b.id))[0]
    if (best !== undefined && chosen.length < STORIES) chosen.push(best)
  }
  return chosen
}

const has = ({ timeline }: CaseStory, kind: string): boolean => timeline.some((fact) => fact.kind === kind)
const sentIn = ({ timeline }: CaseStory): number => timeline.filter(({ kind }) => kind === "nudge_sent").length

const KINDS: Readonly<Record<string, string>> = {
  payment: "a payment of",
  cancellation: "a cancellation of a membership of",
  at_risk: "at risk of leaving a membership of",
}

const titleOf = ({ kind, amountMinor, currency }: CaseStory, name: string): string =>
  `${name}, ${KINDS[kind] ?? kind}${amountMinor === null || currency === null ? "" : ` ${formatMoney({ amountMinor, currency }, "en")}`}`

export interface Reason {
  readonly label: string
  /** What it adds to the score. */
  readonly logOdds: number
}

/** The case as lines with their times, and how it ended. `scores`: the reasons of each score by its id. */
export function linesOf(
  one: CaseStory,
  scores: ReadonlyMap<unknown, readonly Reason[]> = new Map(),
): readonly string[] {
  const lines: { readonly fact: Fact; readonly text: string }[] = []
  for (const fact of one.timeline) {
    const sentence = sentenceOf(fact, scores)
    const last = lines.at(-1)
    if (sentence === null) continue
    // Providers report one attempt by several events; the first that says the reason is told.
    if (last?.fact.kind === fact.kind && isSameAttempt(last.fact, fact)) {
      if (typeof last.fact.declineCode === "string" || typeof fact.declineCode !== "string") continue
      lines.pop()
    }
    lines.push({ fact, text: `${timeOf(fact.occurredAt)}  ${sentence}` })
  }
  return [...lines.map(({ text }) => text), `${timeOf(one.closedAt) || "now".padEnd(TIME_CHARS)}  ${endOf(one)}`]
}

const ATTEMPT_MS = 60_000

const isSameAttempt = (one: Fact, other: Fact): boolean =>
  one.kind.startsWith("payment_") && Date.parse(other.occurredAt) - Date.parse(one.occurredAt) < ATTEMPT_MS

type Fact = CaseStory["timeline"][number]

/** A fact as a sentence; null for what a member does not see, and what follows from another fact. */
function sentenceOf(fact: Fact, scores: ReadonlyMap<unknown, readonly Reason[]>): string | null {
  switch (fact.kind) {
    case "payment_failed":
      return `the payment failed${wordsOf(fact.declineCode)}`
    case "cancellation_announced":
      return "the member canceled, for the end of the period"
    case "risk_detected":
      return `${Math.round(100 * Number(fact.probability))} % likely to leave${reasonsOf(scores.get(fact.predictionId))}`
    case "nudge_sent":
      if (fact.channel === "slack") return null
      return `message sent by ${fact.channel}${fact.step === null ? ", by hand" : `, day ${fact.step}`}`
    case "incentive_applied":
      return `discount applied${discountOf(fact.incentive)}`
    case "link_clicked":
      return "the member opened the link"
    case "opted_out":
      return "the member asked for no more messages"
    case "payment_succeeded":
      return "the payment succeeded"
    case "subscription_resumed":
      return "the member took the cancellation back"
    case "subscription_ended":
      return "the membership ended"
    case "risk_passed":
      return fact.why === "fell" ? "the score has fallen by half" : "the member is still there"
    case "dispute_opened":
      return "the member disputed the payment"
    default:
      return null
  }
}

const wordsOf = (code: unknown): string => (typeof code === "string" ? `: ${code.replaceAll("_", " ")}` : "")

/** Reasons that raise the score most. */
const REASONS_TOLD = 2

function reasonsOf(reasons: readonly Reason[] = []): string {
  const raising = reasons.filter(({ logOdds }) => logOdds > 0).toSorted((a, b) => b.logOdds - a.logOdds)
  const labels = raising.slice(0, REASONS_TOLD).map(({ label }) => label)
  return labels.length === 0 ? "" : `: ${labels.join(", ")}`
}

const discount = z.object({ percentOff: z.number(), months: z.number() })
function discountOf(incentive: unknown): string {
  const parsed = discount.safeParse(incentive)
  return parsed.success ? `: ${parsed.data.percentOff} % for ${parsed.data.months} months` : ""
}

function endOf({ status, cause, recoveredMinor, currency }: CaseStory): string {
  if (status === "open") return "still open"
  const amount =
    recoveredMinor > 0 && currency !== null ? ` ${formatMoney({ amountMinor: recoveredMinor, currency }, "en")}` : ""
  return `${status}${amount}${cause === null ? "" : `, cause: ${cause.replaceAll("_", " ")}`}`
}

const TIME_CHARS = 16

/** As 2026-11-21 14:05; empty for none. */
const timeOf = (instant: string | null): string => (instant ?? "").slice(0, TIME_CHARS).replace("T", " ")
