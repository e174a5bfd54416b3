/** What is at stake, what was recovered and through what, and who is likely to leave. */
import { Hono } from "hono"
import type { FC } from "hono/jsx"
import { barChart } from "../../../../shared/charts/bars.ts"
import { funnelChart } from "../../../../shared/charts/funnel.ts"
import { lineChart } from "../../../../shared/charts/line.ts"
import type { AnswerOf } from "../../../reference/answers/all.ts"
import { type DashboardEnv, frameOf, showLive } from "../../page.tsx"
import { type CaseAnswer, CaseTable, inWords, KIND_NAMES } from "../../parts/cases.tsx"
import { AmountCharts, FailureTimes } from "../../parts/overview-charts.tsx"
import { Choice, Figure, Heading, Live, Panel, Table } from "../../parts/parts.tsx"
import { dateOnly, money, number, percent, type Viewer } from "../../viewer.ts"

const PATH = "/dashboard"

export const overview = new Hono<DashboardEnv>().get("/", async (c) => {
  const ask = c.get("ask")
  const [figures, open] = await Promise.all([
    ask("GET /api/overview", { query: { days: c.req.query("days") } }),
    ask("GET /api/cases", { query: { status: "open", limit: 6 } }),
  ])
  return showLive(c, "Overview", PATH, <OverviewPage {...frameOf(c)} figures={figures} open={open.data} />)
})

type Figures = AnswerOf<"GET /api/overview">

/** The figures are of up to 50,000 cases. */
const FIGURES_EVERY_SECONDS = 60

/** Reasons in the chart; the rest is in the list of cases. */
const REASONS = 8

const OverviewPage: FC<{
  readonly viewer: Viewer
  readonly now: Date
  readonly figures: Figures
  readonly open: readonly CaseAnswer[]
}> = ({ viewer, now, figures, open }) => {
  const { days, funnel, atStake } = figures
  const total = (field: "opened" | "nudged" | "clicked" | "recovered" | "ended") =>
    funnel.reduce((sum, row) => sum + row[field], 0)
  const openCases = atStake.reduce((sum, { cases }) => sum + cases, 0)
  const words = {
    number: (value: number) => number(viewer, value),
    percent: (share: number | null) => percent(viewer, share),
  }
  return (
    <>
      <Heading
        title="Overview"
        lead={`Cases that opened within ${days} days${figures.isWhole ? "" : `: the newest ${words.number(figures.countedMax)}`}.`}
      >
        <form class="filters" method="get">
          <Choice
            name="days"
            label="Within"
            value={String(days)}
            all="30 days"
            options={[
              ["7", "7 days"],
              ["90", "90 days"],
              ["180", "180 days"],
            ]}
          />
          <button class="quiet" type="submit">
            Show
          </button>
        </form>
      </Heading>
      <Live name="figures" everySeconds={FIGURES_EVERY_SECONDS}>
        <dl class="figures">
          <Figure
            label="Recovered"
            tone="good"
            value={<Amounts viewer={viewer} amounts={amountsOf(figures.recovered)} />}
            note={`${number(viewer, total("recovered"))} cases`}
          />
          <Figure
            label="At stake"
            value={<Amounts viewer={viewer} amounts={amountsOf(atStake)} />}
            note={`${number(viewer, openCases)} open cases`}
          />
          <Figure
            label="Recovery rate"
            value={percent(viewer, total("ended") === 0 ? null : total("recovered") / total("ended"), 1)}
            note={`${number(viewer, total("recovered"))} of ${number(viewer, total("ended"))} cases that ended`}
          />
          <Figure
            label="Health of the suite"
            value={<a href="/api/health">Health checks</a>}
            note="database, Redis, QStash, providers, channels"
          />
        </dl>
        <div class="columns">
          <Panel title="Recovery funnel">
            {funnelChart(
              {
                id: "funnel",
                title: "Funnel",
                description: `Of ${total("opened")} cases, ${total("nudged")} were written to, ${total("clicked")} opened the link and ${total("recovered")} recovered.`,
              },
              [
                { label: "Opened", count: total("opened") },
                { label: "Messaged", count: total("nudged") },
                { label: "Clicked", count: total("clicked") },
                { label: "Recovered", count: total("recovered") },
              ],
              words,
            )}
          </Panel>
          <Panel title="Cases by reason">
            {figures.reasons.length === 0 ? (
              <p class="empty">No case opened.</p>
            ) : (
              barChart(
                { id: "reasons", title: "Reasons", description: "Cases by what opened them, and how many recovered." },
                figures.reasons.slice(0, REASONS).map(({ kind, reason, cases, recovered }) => ({
                  label: reason === null ? KIND_NAMES[kind] : inWords(reason),
                  whole: cases,
                  part: recovered,
                })),
                { whole: "Cases", part: "Recovered", number: words.number },
              )
            )}
          </Panel>
        </div>
        <div class="columns">
          <AmountCharts viewer={viewer} outcomes={figures.outcomes} />
          {figures.failureTimes.length > 0 && <FailureTimes viewer={viewer} now={now} times={figures.failureTimes} />}
          {[...Map.groupBy(figures.recovered, ({ currency }) => currency)].map(
            ([currency, rows]) =>
              rows.length > 1 && (
                <Panel title={`Recovered in ${currency.toUpperCase()}, added up`}>
                  {lineChart(
                    {
                      id: `recovered-${currency}`,
                      title: `Recovered, ${currency.toUpperCase()}`,
                      description: "The amount that came back, added up over the days on which cases closed.",
                    },
                    addedUp(rows),
                    {
                      time: (at) => dateOnly({ ...viewer, timeZone: "UTC" }, new Date(at).toISOString()),
                      value: (amountMinor) => money(viewer, Math.round(amountMinor), currency),
                    },
                  )}
                </Panel>
              ),
          )}
        </div>
        <Panel
          title="Likely to leave"
          note="Scored lately and without an open case; the largest expected loss a month first."
        >
          <Table
            caption="Customers who are likely to leave"
            rows={figures.likelyToLeave}
            empty="No customer has a recent score."
            columns={[
              {
                title: "Customer",
                cell: (one) => (
                  <a href={`/dashboard/customers/${encodeURIComponent(one.customerId)}`}>{one.providerCustomerId}</a>
                ),
              },
              {
                title: "Probability of leaving",
                isNumber: true,
                cell: ({ probability }) => percent(viewer, probability, 1),
              },
              {
                title: "Pays a month",
                isNumber: true,
                cell: ({ monthlyMinor, currency }) => money(viewer, Math.round(monthlyMinor), currency),
              },
              {
                title: "Expected loss",
                isNumber: true,
                cell: ({ expectedLossMinor, currency }) => money(viewer, Math.round(expectedLossMinor), currency),
              },
            ]}
          />
        </Panel>
        <Panel title="Open cases">
          <CaseTable viewer={viewer} now={now} cases={open} />
          <p>
            <a href="/dashboard/cases?status=open">All open cases</a>
          </p>
        </Panel>
      </Live>
    </>
  )
}

interface Amount {
  readonly currency: string | null
  readonly amountMinor: number
}

/** Sums by currency. */
function amountsOf(rows: readonly Amount[]): ReadonlyMap<string, number> {
  const sums = new Map<string, number>()
  for (const { currency, amountMinor } of rows) {
    if (currency !== null) sums.set(currency, (sums.get(currency) ?? 0) + amountMinor)
  }
  return sums
}

/** Amounts of each currency; different currencies are never added. */
const Amounts: FC<{ readonly viewer: Viewer; readonly amounts: ReadonlyMap<string, number> }> = ({
  viewer,
  amounts,
}) =>
  amounts.size === 0 ? (
    <span>–</span>
  ) : (
    [...amounts].map(([currency, amountMinor]) => <span class="amount">{money(viewer, amountMinor, currency)}</span>)
  )

/** The sum up to each day. */
function addedUp(rows: Figures["recovered"]) {
  let value = 0
  return rows.map(({ day, amountMinor }) => {
    value += amountMinor
    return { at: Date.parse(day), value }
  })
}
