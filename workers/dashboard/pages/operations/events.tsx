/** Webhook events: what was received, what became of it, and sending it through again. */
import { Hono } from "hono"
import type { FC } from "hono/jsx"
import type { AnswerOf } from "../../../reference/answers/all.ts"
import { exportOf } from "../../export.ts"
import { act, type DashboardEnv, formOf, frameOf, listQuery, ROWS, show } from "../../page.tsx"
import { inWords } from "../../parts/cases.tsx"
import {
  Badge,
  Choice,
  ExportLink,
  Heading,
  Pager,
  Panel,
  PostForm,
  ProviderChoice,
  Table,
  Time,
  type Tone,
} from "../../parts/parts.tsx"
import type { Viewer } from "../../viewer.ts"

const PATH = "/dashboard/events"
const pathOf = (id: string) => `${PATH}/${encodeURIComponent(id)}`

export const events = new Hono<DashboardEnv>()
  .get("/", async (c) => {
    const query = listQuery(c)
    const found = await c.get("ask")("GET /api/events", { query: { ...query, limit: ROWS } })
    return show(c, "Events", PATH, <EventsPage {...frameOf(c)} events={found} query={query} />)
  })
  .get("/export", (c) => exportOf(c, "events", (query) => c.get("ask")("GET /api/events", { query }), EVENT_COLUMNS))
  .get("/:id", async (c) => {
    const one = await c.get("ask")("GET /api/events/:id", { params: c.req.param() })
    return show(c, "Event", PATH, <EventPage {...frameOf(c)} one={one} payload={null} />)
  })
  // Apart from the event, so that a payload is opened, and the reading logged, only when somebody asks for it.
  .get("/:id/payload", async (c) => {
    const ask = c.get("ask")
    const call = { params: c.req.param() }
    const { payload } = await ask("GET /api/events/:id/payload", call)
    const one = await ask("GET /api/events/:id", call)
    return show(c, "Event", PATH, <EventPage {...frameOf(c)} one={one} payload={payload} />)
  })
  .post("/:id/replay", (c) =>
    act(c, pathOf(c.req.param("id")), async () => {
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

type Event = Events["data"][number]

/** Events of unregistered accounts belong to no company yet. */
const isUnmapped = ({ status }: Event): boolean => status === "unmapped_account"

const canReplay = (viewer: Viewer, one: Event): boolean => viewer.can("events:replay") && !isUnmapped(one)

const EventStatus: FC<{ readonly status: string }> = ({ status }) => (
  <Badge tone={STATUS_TONES[status] ?? "plain"}>{status}</Badge>
)

const ReplayForm: FC<{ readonly id: string }> = ({ id }) => (
  <PostForm action={`${pathOf(id)}/replay`}>
    <button class="quiet" type="submit">
      Replay
    </button>
  </PostForm>
)

const EventPage: FC<{
  readonly viewer: Viewer
  readonly now: Date
  readonly one: Event
  /** Null: nobody has asked for it. */
  readonly payload: string | null
}> = ({ viewer, now, one, payload }) => (
  <>
    <Heading title={one.type} lead="One webhook event, and what became of it.">
      {canReplay(viewer, one) && <ReplayForm id={one.id} />}
    </Heading>
    <Panel title="Event">
      <dl class="facts">
        <dt>Status</dt>
        <dd>
          <EventStatus status={one.status} />
        </dd>
        <dt>Why</dt>
        <dd>{inWords(one.error)}</dd>
        <dt>Id</dt>
        <dd>
          <code>{one.id}</code>
        </dd>
        <dt>Provider</dt>
        <dd>{one.provider}</dd>
        <dt>Provider's id</dt>
        <dd>
          <code>{one.providerEventId}</code>
        </dd>
        <dt>API version</dt>
        <dd>{one.apiVersion ?? "–"}</dd>
        <dt>Customer</dt>
        <dd>
          {one.customerId === null ? (
            "–"
          ) : (
            <a href={`/dashboard/customers/${encodeURIComponent(one.customerId)}`}>{one.customerId}</a>
          )}
        </dd>
        <dt>Attempts</dt>
        <dd>{one.attempts}</dd>
        <dt>Happened</dt>
        <dd>
          <Time viewer={viewer} at={one.occurredAt} />
        </dd>
        <dt>Received</dt>
        <dd>
          <Time viewer={viewer} at={one.receivedAt} now={now} />
        </dd>
        <dt>Processed</dt>
        <dd>
          <Time viewer={viewer} at={one.processedAt} now={now} />
        </dd>
      </dl>
    </Panel>
    {viewer.can("events:payload") && !isUnmapped(one) && (
      <Panel title="Payload" note="What the provider sent, with names and addresses. Every reading is logged.">
        {payload === null ? (
          <p>
            <a class="button quiet" href={`${pathOf(one.id)}/payload`}>
              Show the payload
            </a>
          </p>
        ) : (
          <section class="scroll" aria-label="Payload" tabindex={0}>
            <pre>{indented(payload)}</pre>
          </section>
        )}
      </Panel>
    )}
  </>
)

/** JSON with line breaks; stored payloads were parsed when they were received. */
const indented = (payload: string): string => JSON.stringify(JSON.parse(payload), null, 2)

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
      <ProviderChoice value={query.provider} />
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
        { title: "Type", cell: ({ id, type }) => <a href={pathOf(id)}>{type}</a> },
        { title: "Status", cell: ({ status }) => <EventStatus status={status} /> },
        { title: "Provider's id", cell: ({ providerEventId }) => <code>{providerEventId}</code> },
        { title: "Why", cell: ({ error }) => error ?? "–" },
        { title: "Replay", cell: (one) => (canReplay(viewer, one) ? <ReplayForm id={one.id} /> : "–") },
      ]}
    />
    <Pager path="/dashboard/events" query={query} nextCursor={events.nextCursor} isShort={events.data.length < ROWS} />
  </>
)
