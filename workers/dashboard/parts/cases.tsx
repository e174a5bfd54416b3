/** How cases are shown in every list of them. */
import type { FC } from "hono/jsx"
import type { AnswerOf } from "../../reference/answers/all.ts"
import { money, type Viewer } from "../viewer.ts"
import { Badge, Table, Time, type Tone } from "./parts.tsx"

export type CaseAnswer = AnswerOf<"GET /api/cases">["data"][number]

export const KIND_NAMES = { payment: "Failed payment", cancellation: "Cancellation", at_risk: "At risk" } as const
export const STATUS_NAMES = { open: "Open", recovered: "Recovered", lost: "Lost", reversed: "Reversed" } as const
const STATUS_TONES = { open: "info", recovered: "good", lost: "bad", reversed: "warn" } as const satisfies Record<
  CaseAnswer["status"],
  Tone
>

export const CaseStatus: FC<{ readonly status: CaseAnswer["status"] }> = ({ status }) => (
  <Badge tone={STATUS_TONES[status]}>{STATUS_NAMES[status]}</Badge>
)

/** A code of a provider as words: `insufficient_funds` → "insufficient funds". */
export const inWords = (code: string | null): string => (code === null ? "–" : code.replaceAll("_", " "))

export const CaseTable: FC<{
  readonly viewer: Viewer
  readonly now: Date
  readonly cases: readonly CaseAnswer[]
  /** The form that ticked cases belong to; absent: cases cannot be ticked. */
  readonly form?: string
}> = ({ viewer, now, cases, form }) => (
  <Table
    caption="Cases"
    rows={cases}
    empty="No case matches."
    columns={[
      ...(form === undefined
        ? []
        : [
            {
              title: "Select",
              cell: (one: CaseAnswer) =>
                one.status === "open" && (
                  <input type="checkbox" form={form} name="caseId" value={one.id} aria-label={`Select ${one.id}`} />
                ),
            },
          ]),
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
