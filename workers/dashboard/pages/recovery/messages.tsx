/** Messages to members: planned, sent, and why others were not. */
import { Hono } from "hono"
import type { FC } from "hono/jsx"
import { CHANNELS } from "../../../../shared/domain/facts.ts"
import type { AnswerOf } from "../../../reference/answers/all.ts"
import { exportOf } from "../../export.ts"
import { type DashboardEnv, frameOf, listQuery, ROWS, show } from "../../page.tsx"
import { inWords } from "../../parts/cases.tsx"
import { NUDGE_TONES } from "../../parts/nudges.ts"
import { Badge, Choice, ExportLink, Heading, Pager, Table, Time } from "../../parts/parts.tsx"
import type { Viewer } from "../../viewer.ts"

const PATH = "/dashboard/messages"

export const messages = new Hono<DashboardEnv>()
  .get("/", async (c) => {
    const query = listQuery(c)
    const found = await c.get("ask")("GET /api/nudges", { query: { ...query, limit: ROWS } })
    return show(c, "Messages", PATH, <MessagesPage {...frameOf(c)} nudges={found} query={query} />)
  })
  .get("/export", (c) =>
    exportOf(c, "messages", (query) => c.get("ask")("GET /api/nudges", { query }), MESSAGE_COLUMNS),
  )

const MESSAGE_COLUMNS = [
  "id",
  "caseId",
  "customerId",
  "step",
  "channel",
  "status",
  "reason",
  "attempts",
  "dueAt",
  "sentAt",
] as const

const MessagesPage: FC<{
  readonly viewer: Viewer
  readonly now: Date
  readonly nudges: AnswerOf<"GET /api/nudges">
  readonly query: Readonly<Record<string, string | undefined>>
}> = ({ viewer, now, nudges, query }) => (
  <>
    <Heading title="Messages" lead="Each message is one step of a case's playbook on one channel." />
    <form class="filters" method="get">
      <Choice
        name="status"
        label="Status"
        value={query.status}
        options={Object.keys(NUDGE_TONES).map((status) => [status, status])}
      />
      <Choice
        name="channel"
        label="Channel"
        value={query.channel}
        options={CHANNELS.map((channel) => [channel, channel])}
      />
      <button type="submit">Filter</button>
      <ExportLink path="/dashboard/messages" query={query} />
    </form>
    <Table
      caption="Messages"
      rows={nudges.data}
      empty="No message matches."
      columns={[
        { title: "Due", cell: ({ dueAt }) => <Time viewer={viewer} at={dueAt} now={now} /> },
        {
          title: "Step",
          cell: ({ step, caseId }) => (
            <a href={`/dashboard/cases/${encodeURIComponent(caseId)}`}>{step === null ? "by hand" : `day ${step}`}</a>
          ),
        },
        { title: "Channel", cell: ({ channel }) => channel },
        { title: "Status", cell: ({ status }) => <Badge tone={NUDGE_TONES[status]}>{status}</Badge> },
        { title: "Why", cell: ({ reason }) => inWords(reason) },
        { title: "Sent", cell: ({ sentAt }) => <Time viewer={viewer} at={sentAt} /> },
      ]}
    />
    <Pager path={PATH} query={query} nextCursor={nudges.nextCursor} isShort={nudges.data.length < ROWS} />
  </>
)
