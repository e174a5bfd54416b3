/** Webhook events: what was received, what became of it, and sending it through again. */
import { Hono } from "hono"
import type { FC } from "hono/jsx"
import type { AnswerOf } from "../../reference/answers/all.ts"
import { exportOf } from "../export.ts"
import { act, type DashboardEnv, formOf, frameOf, listQuery, ROWS, show } from "../page.tsx"
import { Badge, Choice, ExportLink, Heading, Pager, PostForm, Table, Time, type Tone } from "../parts/parts.tsx"
import type { Viewer } from "../viewer.ts"

const PATH = "/dashboard/events"

export const events = new Hono<DashboardEnv>()
  .get("/", async (c) => {
    const query = listQuery(c)
    const found = await c.get("ask")("GET /api/events", { query: { ...query, limit: ROWS } })
    return show(c, "Events", PATH, <EventsPage {...frameOf(c)} events={found} query={query} />)
  })
  .get("/export", (c) => exportOf(c, "events", (query) => c.get("ask")("GET /api/events", { query }), EVENT_COLUMNS))
  .post("/:id/replay", (c) =>
    act(c, PATH, async () => {
      await c.get("ask")("POST /api/events/:id/replay", { params: c.req.param() })
      return "replayed"
    }),
  )
  .post("/replay", async (c) => {
    const filter = Object.fromEntries(Object.entries(await formOf(c)).filter(([, value]) => value !== ""))
    return act(c, PATH, async () => {
      await c.get("ask")("POST /api/events/replay", { body: filter })
      return "queued"
    })
  })

const EVENT_COLUMNS = [
  "id",
  "provider",
  "providerEventId",
  "type",
  "apiVersion",
  "status",
  "attempts",
  "customerId",
  "occurredAt",
  "receivedAt",
  "processedAt",
  "error",
] as const

type Events = AnswerOf<"GET /api/events">

/** The filters of the list that a bulk replay has too. */
const REPLAY_FILTERS = ["status", "provider", "type"] as const

/** Only filters that a replay has: with another one, it would replay more than the list shows. */
const isFiltered = (query: Readonly<Record<string, string | undefined>>): boolean =>
  REPLAY_FILTERS.some((name) => query[name]) && !query.providerEventId

const STATUS_TONES: Readonly<Record<string, Tone>> = {
  received: "info",
  held: "warn",
  processed: "good",
  unhandled: "plain",
  failed: "bad",
  dead: "bad",
}

const EventsPage: FC<{
  readonly viewer: Viewer
  readonly now: Date
  readonly events: Events
  readonly query: Readonly<Record<string, string | undefined>>
}> = ({ viewer, now, events, query }) => (
  <>
    <Heading title="Events" lead="Every webhook that was received with a valid signature, the latest first." />
    <form class="filters" method="get">
      <Choice
        name="status"
        label="Status"
        value={query.status}
        options={Object.keys(STATUS_TONES).map((status) => [status, status])}
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
        Type
        <input name="type" value={query.type ?? ""} />
      </label>
      <label>
        Provider's event id
        <input name="providerEventId" value={query.providerEventId ?? ""} />
      </label>
      <button type="submit">Filter</button>
      <ExportLink path="/dashboard/events" query={query} />
    </form>
    {viewer.can("events:replay") && isFiltered(query) && (
      <details>
        <summary>Replay all events of this filter</summary>
        <PostForm class="stack" action={`${PATH}/replay`}>
          <p class="note">
            Up to 1,000 stored events are processed again from their payloads. Events that were processed before change
            nothing.
          </p>
          {REPLAY_FILTERS.map((name) => (
            <input type="hidden" name={name} value={query[name] ?? ""} />
          ))}
          <div>
            <button type="submit">Replay them</button>
          </div>
        </PostForm>
      </details>
    )}
    <Table
      caption="Events"
      rows={events.data}
      empty="No event matches."
      columns={[
        { title: "Received", cell: ({ receivedAt }) => <Time viewer={viewer} at={receivedAt} now={now} /> },
        { title: "Type", cell: ({ type }) => <code>{type}</code> },
        { title: "Status", cell: ({ status }) => <Badge tone={STATUS_TONES[status] ?? "plain"}>{status}</Badge> },
        { title: "Provider's id", cell: ({ providerEventId }) => <code>{providerEventId}</code> },
        { title: "Why", cell: ({ error }) => error ?? "–" },
        {
          title: "Again",
          cell: ({ id, status }) =>
            viewer.can("events:replay") && status !== "unmapped_account" ? (
              <PostForm action={`/dashboard/events/${id}/replay`}>
                <button class="quiet" type="submit">
                  Replay
                </button>
              </PostForm>
            ) : (
              "–"
            ),
        },
      ]}
    />
    <Pager path="/dashboard/events" query={query} nextCursor={events.nextCursor} />
  </>
)
