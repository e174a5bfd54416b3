/** Customers: a list by risk, and one customer with subscriptions, score, health and history. */
import { Hono } from "hono"
import type { FC } from "hono/jsx"
import { lineChart } from "../../../../shared/charts/line.ts"
import { RISK_LEVELS } from "../../../../shared/domain/scoring/health.ts"
import type { AnswerOf } from "../../../reference/answers/all.ts"
import { exportOf } from "../../export.ts"
import { act, type DashboardEnv, formOf, frameOf, listQuery, ROWS, show } from "../../page.tsx"
import { type CaseAnswer, CaseTable, inWords } from "../../parts/cases.tsx"
import {
  Choice,
  ExportLink,
  Figure,
  Heading,
  Pager,
  Panel,
  PostForm,
  ProviderChoice,
  Risk,
  Table,
  Time,
} from "../../parts/parts.tsx"
import { reasonsOf } from "../../parts/scores.ts"
import { dateOnly, money, number, percent, type Viewer } from "../../viewer.ts"

/** Scores in the chart, and those of them in the table. */
const SCORES = 60
const SCORES_SHOWN = 8

const PATH = "/dashboard/customers"

export const customers = new Hono<DashboardEnv>()
  .get("/", async (c) => {
    const query = listQuery(c)
    const found = await c.get("ask")("GET /api/customers", { query: { ...query, limit: ROWS } })
    return show(c, "Customers", PATH, <CustomersPage {...frameOf(c)} customers={found} query={query} />)
  })
  .post("/search", async (c) => {
    const { email = "", name = "" } = await formOf(c)
    const found = await c.get("ask")("POST /api/customers/search", {
      body: { ...(email !== "" && { email }), ...(name !== "" && { name }) },
    })
    return show(c, "Customers", PATH, <CustomersPage {...frameOf(c)} customers={found} query={{}} />)
  })
  .get("/export", (c) =>
    exportOf(c, "customers", (query) => c.get("ask")("GET /api/customers", { query }), CUSTOMER_COLUMNS),
  )
  .get("/:id", async (c) => {
    const ask = c.get("ask")
    const { id } = c.req.param()
    const [customer, cases, scores, milestones] = await Promise.all([
      ask("GET /api/customers/:id", { params: { id } }),
      ask("GET /api/cases", { query: { customerId: id, limit: ROWS } }),
      ask("GET /api/customers/:id/scores", { params: { id }, query: { limit: SCORES } }),
      ask("GET /api/customers/:id/milestones", { params: { id } }),
    ])
    const about = { customer, cases: cases.data, scores: scores.data, milestones: milestones.data }
    const title = customer.name ?? customer.providerCustomerId
    return show(c, title, PATH, <CustomerPage {...frameOf(c)} {...about} />)
  })
  .post("/:id/release", (c) =>
    act(c, `${PATH}/${encodeURIComponent(c.req.param("id"))}`, async () => {
      await c.get("ask")("POST /api/customers/:id/release", { params: c.req.param() })
      return "released"
    }),
  )

const CUSTOMER_COLUMNS = [
  "id",
  "provider",
  "providerCustomerId",
  "name",
  "email",
  "timeZone",
  "score",
  "health",
  "atRisk",
] as const

type Customers = AnswerOf<"GET /api/customers">
type Customer = Customers["data"][number]

const CustomersPage: FC<{
  readonly viewer: Viewer
  readonly customers: Customers
  readonly query: Readonly<Record<string, string | undefined>>
}> = ({ viewer, customers, query }) => (
  <>
    <Heading title="Customers" lead="All customers, newest first.">
      {viewer.can("contacts:read") && (
        <search>
          <PostForm class="filters" action={`${PATH}/search`}>
            <label>
              Name
              <input name="name" maxlength={200} />
            </label>
            <label>
              E-mail address
              <input type="email" name="email" />
            </label>
            <button type="submit">Find</button>
          </PostForm>
        </search>
      )}
    </Heading>
    <form class="filters" method="get">
      <Choice
        name="riskLevel"
        label="Risk"
        value={query.riskLevel}
        options={RISK_LEVELS.map((level) => [level, level])}
      />
      <ProviderChoice value={query.provider} />
      <label>
        Provider's id
        <input name="providerCustomerId" value={query.providerCustomerId ?? ""} />
      </label>
      <button type="submit">Filter</button>
      <ExportLink path="/dashboard/customers" query={query} />
    </form>
    <Table
      caption="Customers"
      rows={customers.data}
      empty="No customer matches."
      columns={[
        {
          title: "Customer",
          cell: (one) => (
            <a href={`/dashboard/customers/${encodeURIComponent(one.id)}`}>{one.name ?? one.providerCustomerId}</a>
          ),
        },
        { title: "E-mail", cell: ({ email }) => email ?? "–" },
        { title: "Provider", cell: ({ provider }) => provider },
        { title: "Subscriptions", isNumber: true, cell: ({ subscriptions }) => number(viewer, subscriptions.length) },
        { title: "Risk", cell: ({ atRisk }) => <Risk level={atRisk?.level} /> },
        {
          title: "Probability of leaving",
          isNumber: true,
          cell: ({ score }) => percent(viewer, score?.probability ?? null),
        },
        {
          title: "Health",
          isNumber: true,
          cell: ({ health }) => (health?.score == null ? "–" : number(viewer, Math.round(health.score))),
        },
      ]}
    />
    <Pager
      path="/dashboard/customers"
      query={query}
      nextCursor={customers.nextCursor}
      isShort={customers.data.length < ROWS}
    />
  </>
)

const CustomerPage: FC<{
  readonly viewer: Viewer
  readonly now: Date
  readonly customer: AnswerOf<"GET /api/customers/:id">
  readonly cases: readonly CaseAnswer[]
  readonly scores: AnswerOf<"GET /api/customers/:id/scores">["data"]
  readonly milestones: AnswerOf<"GET /api/customers/:id/milestones">["data"]
}> = ({ viewer, now, customer, cases, scores, milestones }) => (
  <>
    <Heading
      title={customer.name ?? customer.providerCustomerId}
      lead={[customer.email, customer.provider, customer.providerCustomerId].filter(Boolean).join(" · ")}
    />
    {customer.quarantine !== null && (
      <div class="notice refused">
        In quarantine ({inWords(customer.quarantine.reason)}): gets no messages until{" "}
        <Time viewer={viewer} at={customer.quarantine.endsAt} />.
        {viewer.can("events:replay") && (
          <PostForm action={`${PATH}/${encodeURIComponent(customer.id)}/release`}>
            <button type="submit">Send messages again</button>
          </PostForm>
        )}
      </div>
    )}
    <dl class="figures">
      <Figure
        label="Probability of leaving"
        value={percent(viewer, customer.score?.probability ?? null)}
        note={customer.score === null ? "not scored yet" : `by model ${customer.score.modelVersion}`}
      />
      <Figure
        label="Health"
        value={customer.health?.score == null ? "–" : number(viewer, Math.round(customer.health.score))}
        note="0 to 100; 100 is the lowest risk"
      />
      <Figure label="Risk" value={<Risk level={customer.atRisk?.level} />} />
    </dl>
    <Panel title="Subscriptions">
      <Table
        caption="Subscriptions"
        rows={customer.subscriptions}
        empty="No subscription is known."
        columns={[
          { title: "Subscription", cell: ({ id }) => id },
          { title: "Status", cell: ({ status }) => inWords(status) },
          { title: "Price", isNumber: true, cell: (one) => priceOf(viewer, one) },
          { title: "Since", cell: ({ startedAt }) => <Time viewer={viewer} at={startedAt} /> },
          { title: "Paid until", cell: ({ currentPeriodEnd }) => <Time viewer={viewer} at={currentPeriodEnd} /> },
          { title: "Ends", cell: ({ cancelAt, endedAt }) => <Time viewer={viewer} at={endedAt ?? cancelAt} /> },
        ]}
      />
    </Panel>
    <Panel title="Cases">
      <CaseTable viewer={viewer} now={now} cases={cases} />
    </Panel>
    <Panel title="Scores" note="Latest first, with the main reasons.">
      {lineChart(
        {
          id: "scores",
          title: "Probability of leaving",
          description: "Each score of the customer, with the range in which the probability lies.",
        },
        scores.toReversed().flatMap(({ asOf, probability, interval }) =>
          probability === null
            ? []
            : [
                {
                  at: Date.parse(asOf),
                  value: probability,
                  ...(interval && { low: interval.low, high: interval.high }),
                },
              ],
        ),
        {
          time: (at) => dateOnly(viewer, new Date(at).toISOString()),
          value: (probability) => percent(viewer, probability, 1),
        },
      )}
      <Table
        caption="Scores"
        rows={scores.slice(0, SCORES_SHOWN)}
        empty="No score is recorded."
        columns={[
          { title: "When", cell: ({ asOf }) => <Time viewer={viewer} at={asOf} now={now} /> },
          {
            title: "Probability of leaving",
            isNumber: true,
            cell: ({ probability }) => percent(viewer, probability, 1),
          },
          { title: "Main reasons", cell: (one) => reasonsOf(one) },
        ]}
      />
    </Panel>
    <div class="columns">
      <Panel title="Consents">
        <Table
          caption="Consents"
          rows={customer.consents}
          empty="No changes recorded. Messages are allowed by default."
          columns={[
            { title: "Purpose", cell: ({ purpose }) => inWords(purpose) },
            { title: "Allowed", cell: ({ isGranted }) => (isGranted ? "yes" : "no") },
            { title: "Through", cell: ({ via }) => inWords(via) },
            { title: "When", cell: ({ changedAt }) => <Time viewer={viewer} at={changedAt} /> },
          ]}
        />
      </Panel>
      <Panel title="Milestones">
        <Table
          caption="Milestones"
          rows={milestones}
          empty="None reached yet."
          columns={[
            { title: "Milestone", cell: ({ kind }) => inWords(kind) },
            { title: "Reached", cell: ({ reachedAt }) => <Time viewer={viewer} at={reachedAt} /> },
          ]}
        />
      </Panel>
    </div>
  </>
)

function priceOf(viewer: Viewer, { items, currency }: Customer["subscriptions"][number]): string {
  const amounts = items.map(({ unitAmountMinor, quantity }) =>
    unitAmountMinor === null ? null : unitAmountMinor * quantity,
  )
  if (amounts.length === 0 || amounts.includes(null)) return "–"
  const interval = items[0]?.interval
  const amountMinor = amounts.reduce<number>((sum, amount) => sum + (amount ?? 0), 0)
  return `${money(viewer, amountMinor, currency)}${interval ? ` / ${interval}` : ""}`
}
