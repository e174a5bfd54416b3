/** Recovery cases as a list with filters. */
import type { FC } from "hono/jsx"
import type { AnswerOf } from "../../reference/answers/all.ts"
import { Badge, Choice, Heading, Pager, Table, Time, type Tone } from "../parts/parts.tsx"
import { money, type Viewer } from "../viewer.ts"

type Cases = AnswerOf<"GET /api/cases">
export type CaseAnswer = Cases["data"][number]

export const KIND_NAMES = { payment: "Failed payment", cancellation: "Cancellation", at_risk: "At risk" } as const
const STATUS_NAMES = { open: "Open", recovered: "Recovered", lost: "Lost", reversed: "Reversed" } as const
const STATUS_TONES = { open: "info", recovered: "good", lost: "bad", reversed: "warn" } as const satisfies Record<
  CaseAnswer["status"],
  Tone
>

export const CaseStatus: FC<{ readonly status: CaseAnswer["status"] }> = ({ status }) => (
  <Badge tone={STATUS_TONES[status]}>{STATUS_NAMES[status]}</Badge>
)

/** A code of a provider as words: `insufficient_funds` → "insufficient funds". */
export const inWords = (code: string | null): string => (code === null ? "–" : code.replaceAll("_", " "))

export const CasesPage: FC<{
  readonly viewer: Viewer
  readonly now: Date
  readonly cases: Cases
  readonly query: Readonly<Record<string, string | undefined>>
}> = ({ viewer, now, cases, query }) => (
  <>
    <Heading
      title="Cases"
      lead="One case is one episode of losing a customer: a failed payment, an announced cancellation, or a predicted one."
    />
    <form class="filters" method="get">
      <Choice name="status" label="Status" value={query.status} options={Object.entries(STATUS_NAMES)} />
      <Choice name="kind" label="Kind" value={query.kind} options={Object.entries(KIND_NAMES)} />
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
        Decline code
        <input name="declineCode" value={query.declineCode ?? ""} />
      </label>
      <label>
        Customer
        <input name="customerId" value={query.customerId ?? ""} />
      </label>
      <button type="submit">Filter</button>
    </form>
    <CaseTable viewer={viewer} now={now} cases={cases.data} />
    <Pager path="/dashboard/cases" query={query} nextCursor={cases.nextCursor} />
  </>
)

export const CaseTable: FC<{
  readonly viewer: Viewer
  readonly now: Date
  readonly cases: readonly CaseAnswer[]
}> = ({ viewer, now, cases }) => (
  <Table
    caption="Cases"
    rows={cases}
    empty="No case matches."
    columns={[
      {
        title: "Case",
        cell: (one) => <a href={`/dashboard/cases/${encodeURIComponent(one.id)}`}>{KIND_NAMES[one.kind]}</a>,
      },
      { title: "Status", cell: ({ status }) => <CaseStatus status={status} /> },
      {
        title: "Amount",
        isNumber: true,
        cell: ({ amountMinor, currency }) => money(viewer, amountMinor, currency),
      },
      { title: "Reason", cell: ({ declineCode, cause }) => inWords(declineCode ?? cause) },
      {
        title: "Customer",
        cell: ({ customerId, providerCustomerId }) => (
          <a href={`/dashboard/customers/${encodeURIComponent(customerId)}`}>{providerCustomerId}</a>
        ),
      },
      { title: "Opened", cell: ({ openedAt }) => <Time viewer={viewer} at={openedAt} now={now} /> },
      { title: "Closed", cell: ({ closedAt }) => <Time viewer={viewer} at={closedAt} now={now} /> },
    ]}
  />
)
