/** Customers: a list by risk, and one customer with subscriptions, score, health and history. */
import type { FC } from "hono/jsx"
import type { AnswerOf } from "../../reference/answers/all.ts"
import { Badge, Choice, Figure, Heading, Pager, Panel, Table, Time, type Tone } from "../parts/parts.tsx"
import { money, number, percent, type Viewer } from "../viewer.ts"
import { type CaseAnswer, CaseTable, inWords } from "./cases.tsx"

type Customers = AnswerOf<"GET /api/customers">
type Customer = Customers["data"][number]

const RISK_TONES: Readonly<Record<string, Tone>> = { low: "good", medium: "warn", high: "bad", critical: "bad" }

export const Risk: FC<{ readonly level: string | undefined }> = ({ level }) =>
  level === undefined ? <span>–</span> : <Badge tone={RISK_TONES[level] ?? "plain"}>{level}</Badge>

export const CustomersPage: FC<{
  readonly viewer: Viewer
  readonly customers: Customers
  readonly riskLevels: readonly string[]
  readonly query: Readonly<Record<string, string | undefined>>
}> = ({ viewer, customers, riskLevels, query }) => (
  <>
    <Heading title="Customers" lead="Everyone who pays or paid, the newest first." />
    <form class="filters" method="get">
      <Choice
        name="riskLevel"
        label="Risk"
        value={query.riskLevel}
        options={riskLevels.map((level) => [level, level])}
      />
      <Choice
        name="provider"
        label="Provider"
        value={query.provider}
        options={[
          ["stripe", "Stripe"],
          ["whop", "Whop"],
        ]}
      />
      <label>
        Provider's id
        <input name="providerCustomerId" value={query.providerCustomerId ?? ""} />
      </label>
      <button type="submit">Filter</button>
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
        { title: "Leaves with", isNumber: true, cell: ({ score }) => percent(viewer, score?.probability ?? null) },
        {
          title: "Health",
          isNumber: true,
          cell: ({ health }) => (health?.score == null ? "–" : number(viewer, Math.round(health.score))),
        },
      ]}
    />
    <Pager path="/dashboard/customers" query={query} nextCursor={customers.nextCursor} />
  </>
)

export const CustomerPage: FC<{
  readonly viewer: Viewer
  readonly now: Date
  readonly customer: AnswerOf<"GET /api/customers/:id">
  readonly cases: readonly CaseAnswer[]
  readonly scores: AnswerOf<"GET /api/customers/:id/scores">["data"]
}> = ({ viewer, now, customer, cases, scores }) => (
  <>
    <Heading
      title={customer.name ?? customer.providerCustomerId}
      lead={[customer.email, customer.provider, customer.providerCustomerId].filter(Boolean).join(" · ")}
    />
    {customer.quarantine !== null && (
      <p class="notice refused">
        In quarantine ({inWords(customer.quarantine.reason)}): gets no messages until{" "}
        <Time viewer={viewer} at={customer.quarantine.endsAt} />.
      </p>
    )}
    <dl class="figures">
      <Figure
        label="Leaves with"
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
    <div class="columns">
      <Panel title="Scores" note="The latest first, with the strongest reasons.">
        <Table
          caption="Scores"
          rows={scores}
          empty="No score is recorded."
          columns={[
            { title: "When", cell: ({ asOf }) => <Time viewer={viewer} at={asOf} now={now} /> },
            { title: "Leaves with", isNumber: true, cell: ({ probability }) => percent(viewer, probability, 1) },
            { title: "Because of", cell: (one) => reasonsOf(one) },
          ]}
        />
      </Panel>
      <Panel title="Consents">
        <Table
          caption="Consents"
          rows={customer.consents}
          empty="The member has changed nothing: messages are allowed."
          columns={[
            { title: "Purpose", cell: ({ purpose }) => inWords(purpose) },
            { title: "Allowed", cell: ({ isGranted }) => (isGranted ? "yes" : "no") },
            { title: "Through", cell: ({ via }) => inWords(via) },
            { title: "When", cell: ({ changedAt }) => <Time viewer={viewer} at={changedAt} /> },
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

const reasonsOf = ({ reasons }: { readonly reasons: readonly object[] }): string =>
  reasons
    .slice(0, 3)
    .map((reason) => inWords("feature" in reason ? String(reason.feature) : "unknown"))
    .join(", ") || "–"
