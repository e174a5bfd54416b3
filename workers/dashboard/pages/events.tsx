/** Webhook events: what was received, what became of it, and sending it through again. */
import type { FC } from "hono/jsx"
import type { AnswerOf } from "../../reference/answers/all.ts"
import { Badge, Choice, Heading, Pager, Table, Time, type Tone } from "../parts/parts.tsx"
import type { Viewer } from "../viewer.ts"

type Events = AnswerOf<"GET /api/events">

const STATUS_TONES: Readonly<Record<string, Tone>> = {
  received: "info",
  held: "warn",
  processed: "good",
  unhandled: "plain",
  failed: "bad",
  dead: "bad",
}

export const EventsPage: FC<{
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
    </form>
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
              <form method="post" action={`/dashboard/events/${id}/replay`}>
                <button class="quiet" type="submit">
                  Replay
                </button>
              </form>
            ) : (
              "–"
            ),
        },
      ]}
    />
    <Pager path="/dashboard/events" query={query} nextCursor={events.nextCursor} />
  </>
)
