/** Recovery cases: the list with filters, and one case with its actions. */
import { Hono } from "hono"
import type { FC } from "hono/jsx"
import type { AnswerOf } from "../../reference/answers/all.ts"
import { exportOf } from "../export.ts"
import { act, type DashboardEnv, formOf, frameOf, listQuery, ROWS, show } from "../page.tsx"
import { CaseTable, KIND_NAMES, STATUS_NAMES } from "../parts/cases.tsx"
import { Choice, ExportLink, Heading, Pager } from "../parts/parts.tsx"
import type { Viewer } from "../viewer.ts"
import { CasePage } from "./case.tsx"

const PATH = "/dashboard/cases"
const pathOf = (id: string) => `${PATH}/${encodeURIComponent(id)}`

export const cases = new Hono<DashboardEnv>()
  .get("/", async (c) => {
    const query = listQuery(c)
    const found = await c.get("ask")("GET /api/cases", { query: { ...query, limit: ROWS } })
    return show(c, "Cases", PATH, <CasesPage {...frameOf(c)} cases={found} query={query} />)
  })
  .get("/export", (c) => exportOf(c, "cases", (query) => c.get("ask")("GET /api/cases", { query }), CASE_COLUMNS))
  .get("/:id", async (c) => {
    const one = await c.get("ask")("GET /api/cases/:id", { params: c.req.param() })
    return show(c, "Case", PATH, <CasePage {...frameOf(c)} one={one} formKey={c.get("services").newId()} />)
  })
  .post("/:id/nudge", async (c) => {
    const { channel = "", overrideHoldout, key } = await formOf(c)
    return act(c, pathOf(c.req.param("id")), async () => {
      await c.get("ask")("POST /api/cases/:id/nudge", {
        params: c.req.param(),
        body: { ...(channel !== "" && { channel }), overrideHoldout: overrideHoldout === "yes" },
        ...(key !== undefined && { idempotencyKey: key }),
      })
      return "sent"
    })
  })
  .post("/:id/close", (c) =>
    act(c, pathOf(c.req.param("id")), async () => {
      await c.get("ask")("POST /api/cases/:id/close", { params: c.req.param() })
      return "closed"
    }),
  )

const CASE_COLUMNS = [
  "id",
  "kind",
  "status",
  "provider",
  "customerId",
  "providerCustomerId",
  "subscriptionId",
  "invoiceId",
  "amountMinor",
  "currency",
  "remainingMinor",
  "recoveredMinor",
  "declineCode",
  "cause",
  "failureCount",
  "arm",
  "openedAt",
  "closedAt",
] as const

type Cases = AnswerOf<"GET /api/cases">

const CasesPage: FC<{
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
      <ExportLink path="/dashboard/cases" query={query} />
    </form>
    <CaseTable viewer={viewer} now={now} cases={cases.data} />
    <Pager path="/dashboard/cases" query={query} nextCursor={cases.nextCursor} />
  </>
)
