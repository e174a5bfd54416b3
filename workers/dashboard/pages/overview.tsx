/** What is at stake, what was recovered, and who is about to leave. */
import { Hono } from "hono"
import type { FC } from "hono/jsx"
import type { AnswerOf } from "../../reference/answers/all.ts"
import { type DashboardEnv, frameOf, show } from "../page.tsx"
import { type CaseAnswer, CaseTable } from "../parts/cases.tsx"
import { Figure, Heading, Panel, Risk, Table } from "../parts/parts.tsx"
import { money, number, percent, type Viewer } from "../viewer.ts"

export const overview = new Hono<DashboardEnv>().get("/", async (c) => {
  const ask = c.get("ask")
  const [summary, open, atRisk] = await Promise.all([
    ask("GET /api/summary"),
    ask("GET /api/cases", { query: { status: "open", limit: 8 } }),
    ask("GET /api/customers", { query: { riskLevel: "high", limit: 8 } }),
  ])
  const page = <OverviewPage {...frameOf(c)} summary={summary} open={open.data} atRisk={atRisk.data} />
  return show(c, "Overview", "/dashboard", page)
})

const OverviewPage: FC<{
  readonly viewer: Viewer
  readonly now: Date
  readonly summary: AnswerOf<"GET /api/summary">
  readonly open: readonly CaseAnswer[]
  readonly atRisk: AnswerOf<"GET /api/customers">["data"]
}> = ({ viewer, now, summary, open, atRisk }) => {
  const { recovered, lost } = summary.cases
  const ended = recovered + lost
  return (
    <>
      <Heading title="Overview" />
      <dl class="figures">
        <Figure label="Open cases" value={number(viewer, summary.cases.open)} />
        <Figure
          label="Recovered"
          tone="good"
          value={
            Object.entries(summary.recoveredMinor)
              .map(([currency, amountMinor]) => money(viewer, amountMinor, currency))
              .join(" · ") || "–"
          }
          note={`${number(viewer, recovered)} cases`}
        />
        <Figure
          label="Recovery rate"
          value={percent(viewer, ended === 0 ? null : recovered / ended)}
          note={`of ${number(viewer, ended)} cases that ended`}
        />
        <Figure
          label="Dead letters"
          value={number(viewer, summary.events.dead)}
          tone={summary.events.dead > 0 ? "bad" : "plain"}
        />
      </dl>
      <Panel title="Open cases">
        <CaseTable viewer={viewer} now={now} cases={open} />
      </Panel>
      <Panel title="High risk">
        <Table
          caption="Customers at high risk"
          rows={atRisk}
          empty="Nobody is at high risk."
          columns={[
            {
              title: "Customer",
              cell: (one) => (
                <a href={`/dashboard/customers/${encodeURIComponent(one.id)}`}>{one.name ?? one.providerCustomerId}</a>
              ),
            },
            { title: "Risk", cell: ({ atRisk: risk }) => <Risk level={risk?.level} /> },
            { title: "Leaves with", isNumber: true, cell: ({ score }) => percent(viewer, score?.probability ?? null) },
          ]}
        />
      </Panel>
    </>
  )
}
