/** The figures of one company, read from the Worker's API. */
import { z } from "zod"
import { askApi, type World } from "../http.ts"

const counts = z.record(z.string(), z.number())
const summary = z.object({
  events: counts,
  cases: counts,
  casesByKind: z.record(z.string(), counts),
  casesByArm: z.record(z.string(), counts),
  nudges: z.record(z.string(), counts),
})
const funnel = z.object({ kind: z.string(), opened: z.number(), recovered: z.number(), ended: z.number() })
const overview = z.object({ funnel: z.array(funnel) })
const interventions = z.object({
  data: z.array(z.object({ kind: z.string(), cases: z.number(), lift: z.object({ verdict: z.string() }) })),
})
const fact = z.looseObject({ kind: z.string(), occurredAt: z.string() })
const recoveryCase = z.object({
  id: z.string(),
  kind: z.string(),
  status: z.string(),
  cause: z.string().nullable(),
  customerId: z.string(),
  amountMinor: z.number().nullable(),
  recoveredMinor: z.number(),
  currency: z.string().nullable(),
  declineCode: z.string().nullable(),
  heldOut: z.boolean(),
  openedAt: z.string(),
  closedAt: z.string().nullable(),
  timeline: z.array(fact),
})
const caseIds = z.object({ data: z.array(z.object({ id: z.string() })), nextCursor: z.string().nullable() })
const score = z.object({ probability: z.number(), riskLevel: z.string(), source: z.string(), modelVersion: z.string() })
const customers = z.object({
  data: z.array(z.object({ score: score.nullable() })),
  nextCursor: z.string().nullable(),
})

export type Counts = Readonly<Record<string, number>>
export type Summary = z.output<typeof summary>
/** A case with its story. */
export type CaseStory = z.output<typeof recoveryCase>

/** The recovered cases among those that ended, of one kind. */
type Recovery = z.output<typeof funnel>

export interface Figures {
  readonly summary: Summary
  readonly recovery: readonly Recovery[]
  /** The cases of each arm of the experiment that has any. */
  readonly arms: readonly {
    readonly arm: string
    readonly recovered: number
    readonly ended: number
    readonly open: number
  }[]
  /** What the comparison of the arms says of each kind of case, after a week. */
  readonly verdicts: Readonly<Record<string, string>>
  /** Cases by status and cause. */
  readonly causes: Readonly<Record<string, Counts>>
  /** Amounts in minor units by cause and currency. */
  readonly amountsByCause: Readonly<Record<string, Counts>>
  readonly scores: { readonly byRisk: Counts; readonly model: string | null; readonly highest: number }
  /** Cases for which a discount was applied. */
  readonly incentives: number
}

/** The API's largest page. */
const PAGE = 200

/** The overview's longest period. */
const DAYS = 180

/** Cases are compared this long after they opened: the product's month is the whole demo. */
const HORIZON_DAYS = 7

/** The current counts of `/api/summary`. */
export const readSummary = (world: World): Promise<Summary> => askApi(world, "/api/summary", summary)

/** All cases with their stories, the latest opened first. */
export async function readCases(world: World): Promise<readonly CaseStory[]> {
  const ids = await allPages(world, "/api/cases", caseIds)
  const cases: CaseStory[] = []
  for (const { id } of ids) cases.push(await askApi(world, `/api/cases/${encodeURIComponent(id)}`, recoveryCase))
  return cases
}

/** The company's figures; `cases` are all of its cases. */
export async function readFigures(world: World, cases: readonly CaseStory[]): Promise<Figures> {
  const read = await readSummary(world)
  const { funnel: recovery } = await askApi(world, `/api/overview?days=${DAYS}`, overview)
  const compared = await askApi(world, `/api/interventions?horizonDays=${HORIZON_DAYS}`, interventions)
  const scores = (await allPages(world, "/api/customers", customers)).flatMap(({ score: one }) => one ?? [])
  const closed = cases.filter(({ cause }) => cause !== null)
  return {
    ...{ summary: read, recovery, arms: armsOf(read) },
    verdicts: Object.fromEntries(
      compared.data.filter(({ cases: count }) => count > 0).map(({ kind, lift }) => [kind, lift.verdict]),
    ),
    causes: tally(closed, ({ status, cause }) => [status, cause ?? "", 1]),
    amountsByCause: tally(
      closed.filter(({ recoveredMinor }) => recoveredMinor > 0),
      ({ cause, currency, recoveredMinor }) => [cause ?? "", currency ?? "", recoveredMinor],
    ),
    scores: {
      byRisk: tally(scores, ({ riskLevel }) => ["all", riskLevel, 1]).all ?? {},
      model: scores[0] === undefined ? null : `${scores[0].source} ${scores[0].modelVersion}`,
      highest: Math.max(0, ...scores.map(({ probability }) => probability)),
    },
    incentives: cases.filter(({ timeline }) => timeline.some(({ kind }) => kind === "incentive_applied")).length,
  }
}

const armsOf = ({ casesByArm }: Summary): Figures["arms"] =>
  ["treated", "held_out"].flatMap((arm) => {
    const { open = 0, recovered = 0, lost = 0, reversed = 0 } = casesByArm[arm] ?? {}
    const ended = recovered + lost + reversed
    return open + ended === 0 ? [] : [{ arm, open, recovered, ended }]
  })

async function allPages<Row>(
  world: World,
  path: string,
  schema: z.ZodType<{ readonly data: Row[]; readonly nextCursor: string | null }>,
): Promise<readonly Row[]> {
  const rows: Row[] = []
  let cursor: string | null = null
  do {
    const after: string = cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`
    const page: { readonly data: Row[]; readonly nextCursor: string | null } = await askApi(
      world,
      `${path}?limit=${PAGE}${after}`,
      schema,
    )
    rows.push(...page.data)
    cursor = page.nextCursor
  } while (cursor !== null)
  return rows
}

/** Sums of amounts by two names. */
function tally<Row>(
  rows: readonly Row[],
  entryOf: (row: Row) => readonly [outer: string, inner: string, amount: number],
): Record<string, Record<string, number>> {
  const sums: Record<string, Record<string, number>> = {}
  for (const row of rows) {
    const [outer, inner, amount] = entryOf(row)
    const group = sums[outer] ?? {}
    sums[outer] = { ...group, [inner]: (group[inner] ?? 0) + amount }
  }
  return sums
}

/** How many events the Worker stores under a provider's id: one, for any number of deliveries. */
export const countStored = async (world: World, providerEventId: string): Promise<number> =>
  (await askApi(world, `/api/events?providerEventId=${providerEventId}`, z.object({ data: z.array(z.unknown()) }))).data
    .length

/** Sent nudges over all channels. */
export const sentNudges = ({ nudges }: Summary): number =>
  Object.values(nudges).reduce((sum, channel) => sum + (channel.sent ?? 0), 0)
