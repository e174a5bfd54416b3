/** Segments: groups of customers by a rule, and who is in them now. */
import { Hono } from "hono"
import type { FC } from "hono/jsx"
import * as z from "zod"
import { AppError } from "../../../platform/errors.ts"
import type { AnswerOf } from "../../../reference/answers/all.ts"
import { act, type DashboardEnv, formOf, frameOf, ROWS, show } from "../../page.tsx"
import { Badge, Heading, Pager, Panel, PostForm, Table, Time } from "../../parts/parts.tsx"
import { number, type Viewer } from "../../viewer.ts"

const PATH = "/dashboard/segments"
const pathOf = (id: string) => `${PATH}/${encodeURIComponent(id)}`

const EXAMPLE = { all: [{ field: "riskLevel", in: ["high", "critical"] }] }

export const segments = new Hono<DashboardEnv>()
  .get("/", async (c) => {
    const { data } = await c.get("ask")("GET /api/segments", { query: { limit: 200 } })
    return show(c, "Segments", PATH, <SegmentsPage {...frameOf(c)} segments={data} />)
  })
  .post("/", async (c) => {
    const { name, rule } = await formOf(c)
    return act(c, PATH, async () => {
      await c.get("ask")("POST /api/segments", { body: { name, rule: ruleIn(rule) } })
      return "saved"
    })
  })
  .get("/:id", async (c) => {
    const params = c.req.param()
    const [segment, members] = await Promise.all([
      c.get("ask")("GET /api/segments/:id", { params }),
      c.get("ask")("GET /api/segments/:id/customers", { params, query: { ...c.req.query(), done: null, limit: ROWS } }),
    ])
    return show(
      c,
      segment.name,
      PATH,
      <SegmentPage {...frameOf(c)} segment={segment} members={members} cursor={c.req.query("cursor")} />,
    )
  })
  .post("/:id", async (c) => {
    const { name, rule } = await formOf(c)
    return act(c, pathOf(c.req.param("id")), async () => {
      await c.get("ask")("PUT /api/segments/:id", { params: c.req.param(), body: { name, rule: ruleIn(rule) } })
      return "saved"
    })
  })
  .post("/:id/delete", (c) =>
    act(c, PATH, async () => {
      await c.get("ask")("DELETE /api/segments/:id", { params: c.req.param() })
      return "deleted"
    }),
  )

const json = z.string().transform((text, context) => {
  try {
    return JSON.parse(text) as unknown
  } catch {
    context.addIssue({ code: "custom", message: "not JSON" })
    return z.NEVER
  }
})

function ruleIn(text: string | undefined): unknown {
  const parsed = json.safeParse(text)
  if (!parsed.success) throw new AppError("MALFORMED", "The rule is not JSON.")
  return parsed.data
}

type Segment = AnswerOf<"GET /api/segments/:id">

const SegmentForm: FC<{ readonly name: string; readonly rule: unknown }> = ({ name, rule }) => (
  <PostForm class="stack">
    <label>
      Name
      <input name="name" value={name} required maxlength={80} />
    </label>
    <label>
      Rule, as JSON
      <textarea name="rule" required>
        {JSON.stringify(rule, null, 2)}
      </textarea>
    </label>
    <div>
      <button type="submit">Save</button>
    </div>
  </PostForm>
)

const SegmentsPage: FC<{ readonly viewer: Viewer; readonly segments: readonly Segment[] }> = ({
  viewer,
  segments: all,
}) => (
  <>
    <Heading title="Segments" lead="A group of customers by what is true of them now." />
    <Table
      caption="Segments"
      rows={all}
      empty="There are no segments."
      columns={[
        { title: "Segment", cell: ({ id, name }) => <a href={pathOf(id)}>{name}</a> },
        { title: "Kind", cell: ({ kind }) => <Badge>{kind === "risk" ? "by risk" : "by rule"}</Badge> },
        {
          title: "Changed",
          cell: ({ updatedAt, kind }) => (kind === "risk" ? "–" : <Time viewer={viewer} at={updatedAt} />),
        },
        { title: "By", cell: ({ createdBy, kind }) => (kind === "risk" ? "built in" : createdBy) },
      ]}
    />
    {viewer.can("segments:write") && (
      <Panel title="Add a segment">
        <SegmentForm name="" rule={EXAMPLE} />
      </Panel>
    )}
  </>
)

const SegmentPage: FC<{
  readonly viewer: Viewer
  readonly segment: Segment
  readonly members: AnswerOf<"GET /api/segments/:id/customers">
  readonly cursor: string | undefined
}> = ({ viewer, segment, members, cursor }) => (
  <>
    <Heading
      title={segment.name}
      lead={`${number(viewer, members.count)}${members.isCountComplete ? "" : " or more"} customers now`}
    />
    <Table
      caption="Customers of the segment"
      rows={members.data}
      empty="No customer is in it now."
      columns={[
        {
          title: "Customer",
          cell: ({ id, providerCustomerId }) => (
            <a href={`/dashboard/customers/${encodeURIComponent(id)}`}>{providerCustomerId}</a>
          ),
        },
        { title: "Provider", cell: ({ provider }) => provider },
        { title: "Since", cell: ({ createdAt }) => <Time viewer={viewer} at={createdAt} /> },
        { title: "Subscriptions", isNumber: true, cell: ({ subscriptions }) => number(viewer, subscriptions.length) },
      ]}
    />
    <Pager
      path={pathOf(segment.id)}
      query={{ cursor }}
      nextCursor={members.nextCursor}
      isShort={members.data.length < ROWS}
    />
    {segment.kind === "rule" && viewer.can("segments:write") && (
      <Panel title="Change">
        <SegmentForm name={segment.name} rule={segment.rule} />
        <details>
          <summary>Delete</summary>
          <PostForm action={`${pathOf(segment.id)}/delete`}>
            <button class="danger" type="submit">
              Delete the segment
            </button>
          </PostForm>
        </details>
      </Panel>
    )}
  </>
)
