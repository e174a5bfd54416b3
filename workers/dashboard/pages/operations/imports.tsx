/** Imports of the past, and comparisons of our records with the provider's. */
import { Hono } from "hono"
import type { FC } from "hono/jsx"
import type { AnswerOf } from "../../../reference/answers/all.ts"
import { exportOf } from "../../export.ts"
import { act, type DashboardEnv, formOf, frameOf, show } from "../../page.tsx"
import { Badge, ExportLink, Heading, Panel, PostForm, ProviderField, Table, Time } from "../../parts/parts.tsx"
import { number, type Viewer } from "../../viewer.ts"

const PATH = "/dashboard/imports"

export const imports = new Hono<DashboardEnv>()
  .get("/", async (c) => {
    const ask = c.get("ask")
    const [backfills, comparisons] = await Promise.all([
      ask("GET /api/backfills", { query: { limit: 20 } }),
      ask("GET /api/reconciliations", { query: { limit: 20 } }),
    ])
    const page = <ImportsPage {...frameOf(c)} backfills={backfills.data} comparisons={comparisons.data} />
    return show(c, "Imports", PATH, page)
  })
  .get("/export", (c) =>
    exportOf(c, "imports", (query) => c.get("ask")("GET /api/backfills", { query }), IMPORT_COLUMNS),
  )
  .get("/reconciliations/export", (c) =>
    exportOf(
      c,
      "reconciliations",
      (query) => c.get("ask")("GET /api/reconciliations", { query }),
      RECONCILIATION_COLUMNS,
    ),
  )
  .post("/", async (c) => {
    const { provider, since } = await formOf(c)
    return act(c, PATH, async () => {
      await c.get("ask")("POST /api/backfills", { body: { provider, since } })
      return "started"
    })
  })
  .post("/:id/next", (c) =>
    act(c, PATH, async () => {
      await c.get("ask")("POST /api/backfills/:id/next", { params: c.req.param() })
      return "imported"
    }),
  )
  .post("/compare", (c) =>
    act(c, PATH, async () => {
      await c.get("ask")("POST /api/reconciliations", { body: {} })
      return "compared"
    }),
  )

const IMPORT_COLUMNS = [
  ...(["id", "provider", "account", "since", "until", "reached", "imported", "known", "unread"] as const),
  ...(["isComplete", "startedAt", "updatedAt", "finishedAt"] as const),
]

const RECONCILIATION_COLUMNS = [
  ...(["id", "provider", "account", "kind", "from", "until", "checked", "missing", "fetched"] as const),
  ...(["repaired", "differences", "outOfReach", "isComplete", "startedAt", "finishedAt"] as const),
]

const ImportsPage: FC<{
  readonly viewer: Viewer
  readonly now: Date
  readonly backfills: AnswerOf<"GET /api/backfills">["data"]
  readonly comparisons: AnswerOf<"GET /api/reconciliations">["data"]
}> = ({ viewer, now, backfills, comparisons }) => {
  const canRun = viewer.can("reconciliation:run")
  return (
    <>
      <Heading
        title="Imports and reconciliation"
        lead="Providers drop webhooks. Our records are compared with the provider's own list, and what is missing is fetched."
      />
      {canRun && (
        <Panel title="Import the past" note="Imported history sends no message.">
          <PostForm class="filters">
            <ProviderField />
            <label>
              Since
              <input type="date" name="since" required min="2010-01-01" />
            </label>
            <button type="submit">Start</button>
          </PostForm>
        </Panel>
      )}
      <Panel title="Imports" note="The latest 20.">
        <p>
          <ExportLink path={PATH} what="imports" />
        </p>
        <Table
          caption="Imports"
          rows={backfills}
          empty="Nothing was imported."
          columns={[
            { title: "Provider", cell: ({ provider }) => provider },
            { title: "From", cell: ({ since }) => <Time viewer={viewer} at={since} /> },
            { title: "Reached", cell: ({ reached }) => <Time viewer={viewer} at={reached} /> },
            { title: "New", isNumber: true, cell: ({ imported }) => number(viewer, imported) },
            { title: "Known", isNumber: true, cell: ({ known }) => number(viewer, known) },
            {
              title: "State",
              cell: ({ id, finishedAt }) =>
                finishedAt !== null ? (
                  <Badge tone="good">finished</Badge>
                ) : canRun ? (
                  <PostForm action={`${PATH}/${id}/next`}>
                    <button class="quiet" type="submit">
                      Import the next page
                    </button>
                  </PostForm>
                ) : (
                  <Badge tone="info">in progress</Badge>
                ),
            },
          ]}
        />
      </Panel>
      <Panel title="Reconciliations" note="The latest 20.">
        <div class="actions">
          {canRun && (
            <PostForm action={`${PATH}/compare`}>
              <button class="quiet" type="submit">
                Compare now
              </button>
            </PostForm>
          )}
          <ExportLink path={`${PATH}/reconciliations`} what="reconciliations" />
        </div>
        <Table
          caption="Reconciliations"
          rows={comparisons}
          empty="Nothing was compared yet."
          columns={[
            { title: "When", cell: ({ startedAt }) => <Time viewer={viewer} at={startedAt} now={now} /> },
            { title: "Provider", cell: ({ provider }) => provider },
            { title: "What", cell: ({ kind }) => kind },
            { title: "Checked", isNumber: true, cell: ({ checked }) => number(viewer, checked) },
            { title: "Missing", isNumber: true, cell: ({ missing }) => number(viewer, missing) },
            { title: "Fetched", isNumber: true, cell: ({ fetched }) => number(viewer, fetched) },
            { title: "Differences", isNumber: true, cell: ({ differences }) => number(viewer, differences) },
          ]}
        />
      </Panel>
    </>
  )
}
