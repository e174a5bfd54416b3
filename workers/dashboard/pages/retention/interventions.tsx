/** What messages achieve: contacted cases compared with the hold-out, and variants of templates, by intention to treat. */
import { Hono } from "hono"
import type { FC } from "hono/jsx"
import type { AnswerOf } from "../../../reference/answers/all.ts"
import { exportOf } from "../../export.ts"
import { type DashboardEnv, frameOf, listQuery, show } from "../../page.tsx"
import { KIND_NAMES } from "../../parts/cases.tsx"
import { Badge, Choice, ExportLink, Figure, Heading, Panel, Table, type Tone } from "../../parts/parts.tsx"
import { VariantsPanel } from "../../parts/variants-panel.tsx"
import { money, number, percent, type Viewer } from "../../viewer.ts"

const PATH = "/dashboard/interventions"

export const interventions = new Hono<DashboardEnv>()
  .get("/", async (c) => {
    const query = listQuery(c)
    const found = await c.get("ask")("GET /api/interventions", { query })
    return show(c, "Interventions", PATH, <InterventionsPage {...frameOf(c)} found={found} query={query} />)
  })
  .get("/export", (c) =>
    exportOf(
      c,
      "interventions",
      // The whole comparison is one page.
      async () => ({ ...(await c.get("ask")("GET /api/interventions", { query: listQuery(c) })), nextCursor: null }),
      COLUMNS,
    ),
  )

const COLUMNS = ["kind", "cases", "randomized", "matured", "treated", "heldOut", "lift", "amounts"] as const

type Comparison = AnswerOf<"GET /api/interventions">["data"][number]

const VERDICTS: Readonly<Record<Comparison["lift"]["verdict"], readonly [text: string, tone: Tone]>> = {
  too_few_to_tell: ["not enough cases", "plain"],
  more: ["higher with messages", "good"],
  less: ["lower with messages", "bad"],
  no_difference_shown: ["no difference shown", "plain"],
}

const InterventionsPage: FC<{
  readonly viewer: Viewer
  readonly found: AnswerOf<"GET /api/interventions">
  readonly query: Readonly<Record<string, string | undefined>>
}> = ({ viewer, found, query }) => (
  <>
    <Heading
      title="Interventions"
      lead={`A random share of cases receives no messages. Outcomes are measured ${found.horizonDays} days after opening.`}
    />
    <form class="filters" method="get">
      <Choice name="kind" label="Kind" value={query.kind} options={Object.entries(KIND_NAMES)} />
      <label>
        Days after opening
        <input type="number" name="horizonDays" min="1" max="180" value={String(found.horizonDays)} />
      </label>
      <button type="submit">Compare</button>
      <ExportLink path={PATH} query={query} />
    </form>
    {found.data.length === 0 && <p class="empty">No case has been randomized yet.</p>}
    {found.data.map((one) => (
      <Panel
        title={KIND_NAMES[one.kind]}
        note={`${number(viewer, one.cases)} cases, ${number(viewer, one.randomized)} randomized, ${number(viewer, one.matured)} matured`}
      >
        <p>
          <Badge tone={VERDICTS[one.lift.verdict][1]}>{VERDICTS[one.lift.verdict][0]}</Badge>
        </p>
        <dl class="figures">
          <ArmFigure viewer={viewer} label="With messages" arm={one.treated} />
          <ArmFigure viewer={viewer} label="Held out" arm={one.heldOut} />
          <Figure
            label="Difference"
            value={percent(viewer, one.lift.difference, 1)}
            note={`between ${percent(viewer, one.lift.low, 1)} and ${percent(viewer, one.lift.high, 1)}`}
          />
        </dl>
        <Table
          caption="Amounts by currency"
          rows={one.amounts}
          empty="No amounts yet."
          columns={[
            { title: "Currency", cell: ({ currency }) => currency.toUpperCase() },
            {
              title: "Kept, with messages",
              isNumber: true,
              cell: ({ treated, currency }) =>
                `${money(viewer, treated.keptMinor, currency)} of ${money(viewer, treated.atStakeMinor, currency)}`,
            },
            {
              title: "Kept, held out",
              isNumber: true,
              cell: ({ heldOut, currency }) =>
                `${money(viewer, heldOut.keptMinor, currency)} of ${money(viewer, heldOut.atStakeMinor, currency)}`,
            },
            {
              title: "Because of messages",
              isNumber: true,
              cell: ({ incremental, currency }) =>
                incremental.isTooFewToTell ? "not enough cases" : money(viewer, incremental.amountMinor, currency),
            },
          ]}
        />
      </Panel>
    ))}
    {found.variants.map((one) => (
      <VariantsPanel viewer={viewer} one={one} horizonDays={found.horizonDays} />
    ))}
  </>
)

const ArmFigure: FC<{ readonly viewer: Viewer; readonly label: string; readonly arm: Comparison["treated"] }> = ({
  viewer,
  label,
  arm,
}) => (
  <Figure
    label={label}
    value={percent(viewer, arm.rate, 1)}
    note={`${number(viewer, arm.successes)} of ${number(viewer, arm.matured)} kept`}
  />
)
