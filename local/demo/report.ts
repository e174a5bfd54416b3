/** The report at the end. All but the number of deliveries is read from the Worker's API. */
import { z } from "zod"
import { formatMoney } from "../../shared/domain/money.ts"
import { askApi, type World } from "./http.ts"

const counts = z.record(z.string(), z.number())
const summary = z.object({
  events: counts,
  cases: counts,
  casesByKind: z.record(z.string(), counts),
  nudges: z.record(z.string(), counts),
  recoveredMinor: counts,
})
const cases = z.object({
  data: z.array(z.object({ status: z.string(), cause: z.string().nullable() })),
  nextCursor: z.string().nullable(),
})

export type Counts = Readonly<Record<string, number>>
export type Summary = z.output<typeof summary>

/** The API's largest page. */
const PAGE = 200

/** The current counts of `/api/summary`. */
export const readSummary = (world: World): Promise<Summary> => askApi(world, "/api/summary", summary)

/** The number of cases by status and cause, from all pages of `/api/cases`. */
export async function readCauses(world: World): Promise<Record<string, Counts>> {
  const causes: Record<string, Record<string, number>> = {}
  let cursor: string | null = null
  do {
    const query: string = cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`
    const page: z.output<typeof cases> = await askApi(world, `/api/cases?limit=${PAGE}${query}`, cases)
    for (const { status, cause } of page.data) {
      if (cause === null) continue
      const ofStatus = causes[status] ?? {}
      causes[status] = { ...ofStatus, [cause]: (ofStatus[cause] ?? 0) + 1 }
    }
    cursor = page.nextCursor
  } while (cursor !== null)
  return causes
}

/** How many events the Worker stores under a provider's id: one, for any number of deliveries. */
export const countStored = async (world: World, providerEventId: string): Promise<number> =>
  (await askApi(world, `/api/events?providerEventId=${providerEventId}`, z.object({ data: z.array(z.unknown()) }))).data
    .length

/** Sent nudges over all channels. */
export const sentNudges = ({ nudges }: Summary): number =>
  Object.values(nudges).reduce((sum, channel) => sum + (channel.sent ?? 0), 0)

export interface Report {
  readonly seed: number
  readonly days: number
  readonly customers: number
  /** HTTP requests with webhooks that the demo sent; everything else is from the API. */
  readonly deliveries: number
  readonly summary: Summary
  readonly causes: Readonly<Record<string, Counts>>
  readonly unexpected: readonly string[]
  readonly seconds: Readonly<Record<"total" | "advancing" | "delivering", number>>
}

/** The report as a text table. */
export function renderReport({ deliveries, summary, causes, seconds }: Report): string {
  const { events, casesByKind, nudges, recoveredMinor } = summary
  const lines = [
    section("Webhooks", [
      ["sent by the demo", String(deliveries)],
      ...rowsOf(events).map(([name, n]) => [`events ${name}`, n] as const),
    ]),
    section(
      "Cases",
      Object.entries(casesByKind).map(([kind, byStatus]) => [kind, sentence(byStatus)]),
    ),
    section(
      "Causes",
      sorted(causes).map(([status, byCause]) => [status, sentence(byCause)]),
    ),
    section(
      "Nudges",
      Object.entries(nudges).map(([channel, byStatus]) => [channel, sentence(byStatus)]),
    ),
    section(
      "Recovered",
      sorted(recoveredMinor).map(([currency, amountMinor]) => [currency, formatMoney({ amountMinor, currency }, "en")]),
    ),
  ]
  const time = `${seconds.total.toFixed(0)} s: ${seconds.advancing.toFixed(0)} s moving the clock, ${seconds.delivering.toFixed(0)} s delivering`
  return `${lines.filter((text) => text !== "").join("\n")}\n${time}\n`
}

/** The API does not guarantee the order of names. */
const sorted = <T>(byName: Readonly<Record<string, T>>): [string, T][] =>
  Object.entries(byName).sort(([a], [b]) => (a < b ? -1 : 1))

type Row = readonly [name: string, value: string]

const NAME_WIDTH = 18

const section = (title: string, rows: readonly Row[]): string =>
  rows
    .filter(([, value]) => value !== "")
    .map(([name, value], index) => `${(index === 0 ? title : "").padEnd(11)}${name.padEnd(NAME_WIDTH)}${value}\n`)
    .join("")

const rowsOf = (byName: Counts): [string, string][] =>
  sorted(byName).flatMap(([name, count]) => (count === 0 ? [] : [[name, String(count)] as [string, string]]))

const sentence = (byName: Counts): string =>
  rowsOf(byName)
    .map(([name, count]) => `${count} ${name}`)
    .join(", ")
