/** How cases are shown in every list of them. */
import type { FC } from "hono/jsx"
import * as z from "zod"
import { CASE_SORTS, CASE_STATUSES, canSortCases } from "../../../shared/domain/recovery/case-sorts.ts"
import type { AnswerOf } from "../../reference/answers/all.ts"
import { money, type Viewer } from "../viewer.ts"
import { Badge, pathWith, type SortLink, Table, Time, type Tone } from "./parts.tsx"

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

export type CaseListQuery = Readonly<Record<string, string | undefined>>

const sorting = z.object({ status: z.enum(CASE_STATUSES).optional(), sort: z.enum(CASE_SORTS) })

/**
 * The query of a list; without its order, where the cases of the chosen status cannot be listed in it. Values that the API does
 * not know are left for it to refuse.
 */
export function withFittingSort(query: CaseListQuery): CaseListQuery {
  const { data } = sorting.safeParse(query)
  if (data === undefined || canSortCases(data.sort, data.status)) return query
  const { sort: _, ...filters } = query
  return filters
}

type CaseSortLinks = Readonly<Partial<Record<"amount" | "opened" | "closed", SortLink>>>

/** The links of the columns by which a list with this query can be sorted. By amount only open cases are sorted. */
export function caseSortLinks(path: string, { cursor: _, sort, ...filters }: CaseListQuery): CaseSortLinks {
  const isNewestFirst = sort === undefined || sort === "opened"
  const oldest = sort === "oldest" ? "ascending" : null
  const opened: SortLink = {
    href: pathWith(path, { ...filters, sort: isNewestFirst ? "oldest" : undefined }),
    current: isNewestFirst ? "descending" : oldest,
  }
  const isOpen = (filters.status ?? "open") === "open"
  const name = isOpen ? "amount" : "closed"
  const other: SortLink = {
    href: pathWith(path, { ...filters, ...(isOpen && { status: "open" }), sort: name }),
    current: sort === name ? "descending" : null,
  }
  return { opened, [name]: other }
}

export const CaseTable: FC<{
  readonly viewer: Viewer
  readonly now: Date
  readonly cases: readonly CaseAnswer[]
  /** The form that ticked cases belong to; absent: cases cannot be ticked. */
  readonly form?: string
  readonly sort?: CaseSortLinks
}> = ({ viewer, now, cases, form, sort = {} }) => (
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
        sort: sort.amount,
        cell: ({ amountMinor, currency }) => money(viewer, amountMinor, currency),
      },
      { title: "Reason", cell: ({ declineCode, cause }) => inWords(declineCode ?? cause) },
      {
        title: "Customer",
        cell: ({ customerId, providerCustomerId }) => (
          <a href={`/dashboard/customers/${encodeURIComponent(customerId)}`}>{providerCustomerId}</a>
        ),
      },
      { title: "Opened", sort: sort.opened, cell: ({ openedAt }) => <Time viewer={viewer} at={openedAt} now={now} /> },
      { title: "Closed", sort: sort.closed, cell: ({ closedAt }) => <Time viewer={viewer} at={closedAt} now={now} /> },
    ]}
  />
)
