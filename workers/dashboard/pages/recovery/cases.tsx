/** Recovery cases: the list with filters, and one case with its actions. */
import { Hono } from "hono"
import type { FC } from "hono/jsx"
import { MEMBER_CHANNELS } from "../../../../shared/domain/settings.ts"
import { AppError } from "../../../platform/errors.ts"
import type { AnswerOf } from "../../../reference/answers/all.ts"
import { exportOf } from "../../export.ts"
import { act, type DashboardEnv, formData, formOf, frameOf, listQuery, ROWS, show, showLive } from "../../page.tsx"
import {
  type CaseListQuery,
  CaseTable,
  caseSortLinks,
  KIND_NAMES,
  STATUS_NAMES,
  withFittingSort,
} from "../../parts/cases.tsx"
import { Choice, ExportLink, Heading, Live, Pager, PostForm, ProviderChoice, pathWith } from "../../parts/parts.tsx"
import type { Viewer } from "../../viewer.ts"
import { BulkPage } from "./bulk-cases.tsx"
import { CasePage } from "./case.tsx"

const PATH = "/dashboard/cases"
const pathOf = (id: string) => `${PATH}/${encodeURIComponent(id)}`

export const cases = new Hono<DashboardEnv>()
  .get("/", async (c) => {
    const query = withFittingSort(listQuery(c))
    const ask = c.get("ask")
    const [found, { data: views }] = await Promise.all([
      ask("GET /api/cases", { query: { ...query, limit: ROWS } }),
      ask("GET /api/views"),
    ])
    return showLive(c, "Cases", PATH, <CasesPage {...frameOf(c)} cases={found} views={views} query={query} />)
  })
  .post("/views", async (c) => {
    const { name, ...filter } = await formOf(c)
    return act(c, pathWith(PATH, filter), async () => {
      await c.get("ask")("POST /api/views", { body: { name, filter } })
      return "saved"
    })
  })
  .post("/views/:id/delete", (c) =>
    act(c, PATH, async () => {
      await c.get("ask")("DELETE /api/views/:id", { params: c.req.param() })
      return "deleted"
    }),
  )
  .get("/export", (c) => exportOf(c, "cases", (query) => c.get("ask")("GET /api/cases", { query }), CASE_COLUMNS))
  .get("/:id", async (c) => {
    const ask = c.get("ask")
    const params = c.req.param()
    const [one, messages] = await Promise.all([
      ask("GET /api/cases/:id", { params }),
      c.get("viewer").can("contacts:read") ? ask("GET /api/cases/:id/messages", { params }) : { data: [] },
    ])
    const latest = { params: { id: one.customerId }, query: { limit: 1 } }
    const scores = await ask("GET /api/customers/:id/scores", latest)
    const formKey = c.get("services").newId()
    return showLive(
      c,
      "Case",
      PATH,
      <CasePage {...frameOf(c)} one={one} messages={messages.data} score={scores.data[0] ?? null} formKey={formKey} />,
    )
  })
  .post("/bulk", async (c) => {
    const form = await formData(c)
    const caseIds = form.getAll("caseId").map(String)
    if (caseIds.length === 0) throw new AppError("MALFORMED", "Select at least one case.")
    const action = form.get("action") === "close" ? "close" : "nudge"
    const dryRun = form.get("step") !== "confirmed"
    const key = String(form.get("key") ?? c.get("services").newId())
    const answer = await c.get("ask")("POST /api/cases/bulk", {
      body: { action, caseIds, dryRun },
      idempotencyKey: key,
    })
    const page = <BulkPage action={action} isDryRun={dryRun} formKey={key} results={answer.data} />
    return show(c, "Many cases", PATH, page)
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

const BULK_FORM = "many"

type View = AnswerOf<"GET /api/views">["data"][number]

/** Links to the saved views, and the current filter saved as another one. */
const Views: FC<{
  readonly viewer: Viewer
  readonly views: readonly View[]
  readonly query: CaseListQuery
}> = ({ viewer, views, query: { cursor: _, limit: __, ...filter } }) => {
  const filters = Object.entries(filter).filter(([, value]) => value !== undefined && value !== "")
  const canWrite = viewer.can("cases:write")
  const here = pathWith(PATH, Object.fromEntries(filters))
  if (views.length === 0 && !(canWrite && filters.length > 0)) return null
  return (
    <>
      {views.length > 0 && (
        <nav class="pager" aria-label="Saved views">
          {views.map((view) => (
            <a
              href={pathWith(PATH, view.filter)}
              aria-current={pathWith(PATH, view.filter) === here ? "page" : undefined}
            >
              {view.name}
            </a>
          ))}
        </nav>
      )}
      {canWrite && (
        <details>
          <summary>Change saved views</summary>
          {filters.length > 0 && (
            <PostForm class="filters" action={`${PATH}/views`}>
              {filters.map(([name, value]) => (
                <input type="hidden" name={name} value={value} />
              ))}
              <label>
                Name of this view
                <input name="name" required maxlength={80} />
              </label>
              <button type="submit">Save for the company</button>
            </PostForm>
          )}
          {views.map(({ id, name }) => (
            <PostForm action={`${PATH}/views/${id}/delete`}>
              <button class="danger" type="submit">
                Delete “{name}”
              </button>
            </PostForm>
          ))}
        </details>
      )}
    </>
  )
}

const CasesPage: FC<{
  readonly viewer: Viewer
  readonly now: Date
  readonly cases: Cases
  readonly views: readonly View[]
  readonly query: CaseListQuery
}> = ({ viewer, now, cases, views, query }) => (
  <>
    <Heading
      title="Cases"
      lead="A case is a failed payment, an announced cancellation, or a customer predicted to cancel."
    />
    <Views viewer={viewer} views={views} query={query} />
    <form class="filters" method="get">
      {query.sort !== undefined && <input type="hidden" name="sort" value={query.sort} />}
      <Choice name="status" label="Status" value={query.status} options={Object.entries(STATUS_NAMES)} />
      <Choice name="kind" label="Kind" value={query.kind} options={Object.entries(KIND_NAMES)} />
      <ProviderChoice value={query.provider} />
      <Choice
        name="channel"
        label="Messaged by"
        value={query.channel}
        options={MEMBER_CHANNELS.map((channel) => [channel, channel])}
      />
      <label>
        Opened from
        <input type="date" name="openedFrom" value={query.openedFrom ?? ""} />
      </label>
      <label>
        To
        <input type="date" name="openedTo" value={query.openedTo ?? ""} />
      </label>
      <label>
        Amount from, in minor units
        <input name="amountMinorMin" inputmode="numeric" pattern="[0-9]{1,15}" value={query.amountMinorMin ?? ""} />
      </label>
      <label>
        Cause
        <input name="cause" value={query.cause ?? ""} />
      </label>
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
    <Live name="cases">
      <CaseTable
        viewer={viewer}
        now={now}
        cases={cases.data}
        sort={caseSortLinks(PATH, query)}
        {...(viewer.can("cases:write") && { form: BULK_FORM })}
      />
      {viewer.can("cases:write") && cases.data.some(({ status }) => status === "open") && (
        <PostForm class="actions" id={BULK_FORM} action={`${PATH}/bulk`}>
          <button class="quiet" type="submit" name="action" value="nudge">
            Message the selected …
          </button>
          <button class="quiet" type="submit" name="action" value="close">
            Close the selected …
          </button>
        </PostForm>
      )}
      <Pager path="/dashboard/cases" query={query} nextCursor={cases.nextCursor} isShort={cases.data.length < ROWS} />
    </Live>
  </>
)
