/** Models that score customers: their state, gates, monitoring, promotion and rollback. */
import { Hono } from "hono"
import type { FC } from "hono/jsx"
import { lineChart } from "../../../../shared/charts/line.ts"
import type { AnswerOf } from "../../../reference/answers/all.ts"
import { act, type DashboardEnv, formOf, frameOf, show } from "../../page.tsx"
import { inWords } from "../../parts/cases.tsx"
import { Badge, Figure, Heading, Panel, PostForm, Table, Time, type Tone } from "../../parts/parts.tsx"
import { dateOnly, number, percent, type Viewer } from "../../viewer.ts"

const PATH = "/dashboard/models"
const pathOf = (id: string) => `${PATH}/${encodeURIComponent(id)}`

export const models = new Hono<DashboardEnv>()
  .get("/", async (c) => {
    const ask = c.get("ask")
    const [found, retrainings] = await Promise.all([
      ask("GET /api/models", { query: { limit: 100 } }),
      ask("GET /api/retrainings", { query: { limit: 10 } }),
    ])
    const page = <ModelsPage {...frameOf(c)} models={found.data} retrainings={retrainings.data} />
    return show(c, "Models", PATH, page)
  })
  .post("/rollback", async (c) => {
    const { reason } = await formOf(c)
    return act(c, PATH, async () => {
      await c.get("ask")("POST /api/models/rollback", { body: { reason } })
      return "changed"
    })
  })
  .get("/:id", async (c) => {
    const params = c.req.param()
    const [model, monitoring] = await Promise.all([
      c.get("ask")("GET /api/models/:id", { params }),
      c.get("ask")("GET /api/models/:id/monitoring", { params }),
    ])
    return show(c, model.version, PATH, <ModelPage {...frameOf(c)} model={model} monitoring={monitoring} />)
  })
  .post("/:id/promote", async (c) => {
    const { reason } = await formOf(c)
    return act(c, pathOf(c.req.param("id")), async () => {
      const answer = await c.get("ask")("POST /api/models/:id/promote", { params: c.req.param(), body: { reason } })
      return answer.isPromoted ? "promoted" : "kept"
    })
  })
  .post("/:id/shadow", async (c) => {
    const { reason } = await formOf(c)
    return act(c, pathOf(c.req.param("id")), async () => {
      await c.get("ask")("POST /api/models/:id/shadow", { params: c.req.param(), body: { reason } })
      return "changed"
    })
  })
  .post("/:id/retire", async (c) => {
    const { reason } = await formOf(c)
    return act(c, pathOf(c.req.param("id")), async () => {
      await c.get("ask")("POST /api/models/:id/retire", { params: c.req.param(), body: { reason } })
      return "changed"
    })
  })

type Model = AnswerOf<"GET /api/models">["data"][number]

const STATE_TONES = {
  candidate: "plain",
  shadow: "info",
  champion: "good",
  retired: "plain",
} as const satisfies Record<Model["state"], Tone>

const ModelsPage: FC<{
  readonly viewer: Viewer
  readonly now: Date
  readonly models: readonly Model[]
  readonly retrainings: AnswerOf<"GET /api/retrainings">["data"]
}> = ({ viewer, now, models: all, retrainings }) => (
  <>
    <Heading title="Models" lead="The champion scores; shadows score beside it; without a champion, rules do." />
    <Table
      caption="Models"
      rows={all}
      empty="There is no model: rules score the customers."
      columns={[
        { title: "Model", cell: ({ id, version }) => <a href={pathOf(id)}>{version}</a> },
        { title: "State", cell: ({ state }) => <Badge tone={STATE_TONES[state]}>{state}</Badge> },
        { title: "Scope", cell: ({ scope }) => (scope === "shared" ? "all companies" : "this company") },
        { title: "Kind", cell: ({ kind }) => kind },
        { title: "Since", cell: ({ stateChangedAt }) => <Time viewer={viewer} at={stateChangedAt} now={now} /> },
        { title: "Refused", cell: ({ refused }) => (refused === null ? "–" : inWords(refused.reason ?? "yes")) },
      ]}
    />
    {viewer.can("models:write") && all.some(({ state }) => state === "champion") && (
      <details>
        <summary>Roll back to the champion before this one</summary>
        <ReasonForm action={`${PATH}/rollback`} button="Roll back" isDangerous />
      </details>
    )}
    <Panel title="Trainings of challengers">
      <Table
        caption="Trainings"
        rows={retrainings}
        empty="No training has run."
        columns={[
          { title: "Started", cell: ({ startedAt }) => <Time viewer={viewer} at={startedAt} now={now} /> },
          { title: "Outcome", cell: ({ outcome }) => inWords(outcome) },
          { title: "Rows", isNumber: true, cell: ({ rows }) => (rows === null ? "–" : number(viewer, rows)) },
          { title: "Verdict", cell: ({ verdict }) => inWords(verdict) },
        ]}
      />
    </Panel>
  </>
)

const ReasonForm: FC<{ readonly action: string; readonly button: string; readonly isDangerous?: boolean }> = ({
  action,
  button,
  isDangerous,
}) => (
  <PostForm class="filters" action={action}>
    <label>
      Why
      <input name="reason" required maxlength={500} />
    </label>
    <button class={isDangerous ? "danger" : undefined} type="submit">
      {button}
    </button>
  </PostForm>
)

type History = AnswerOf<"GET /api/models/:id/monitoring">["history"]

/** Days with a figure, the oldest first. */
const qualityByDay = (history: History) =>
  history
    .flatMap(({ day, dataQuality }) => (dataQuality === null ? [] : [{ at: Date.parse(day), value: dataQuality }]))
    .sort((a, b) => a.at - b.at)

const ModelPage: FC<{
  readonly viewer: Viewer
  readonly now: Date
  readonly model: AnswerOf<"GET /api/models/:id">
  readonly monitoring: AnswerOf<"GET /api/models/:id/monitoring">
}> = ({ viewer, now, model, monitoring }) => (
  <>
    <Heading
      title={model.version}
      lead={`${model.kind}, ${model.scope === "shared" ? "for all companies" : "of this company"}`}
    >
      <Badge tone={STATE_TONES[model.state]}>{model.state}</Badge>
    </Heading>
    {model.refused !== null && (
      <p class="notice refused">It is not used for scoring: {inWords(model.refused.reason)}.</p>
    )}
    <dl class="figures">
      <Figure label="Monitoring" value={inWords(monitoring.latest?.status ?? null)} />
      <Figure label="Data quality" value={percent(viewer, monitoring.latest?.dataQuality ?? null)} />
      <Figure
        label="Open alarms"
        value={number(viewer, monitoring.alarms.data.filter(({ status }) => status === "open").length)}
      />
    </dl>
    {monitoring.history.length > 1 && (
      <Panel title="Data quality" note="The daily checks of the last month.">
        {lineChart(
          {
            id: "data-quality",
            title: "Data quality",
            description:
              "How complete, fresh and timely the inputs were on each day of the last month, and how many labels arrived.",
          },
          qualityByDay(monitoring.history),
          {
            time: (at) => dateOnly({ ...viewer, timeZone: "UTC" }, new Date(at).toISOString()),
            value: (share) => percent(viewer, share),
            head: ["Day", "Data quality"],
          },
        )}
      </Panel>
    )}
    {viewer.can("models:write") && model.state !== "champion" && (
      <Panel title="Act" note="A model is promoted only if it passes its gates.">
        <ReasonForm action={`${pathOf(model.id)}/promote`} button="Promote" />
        {model.state === "candidate" && (
          <ReasonForm action={`${pathOf(model.id)}/shadow`} button="Let it score beside the champion" />
        )}
        {model.state !== "retired" && (
          <details>
            <summary>Retire</summary>
            <ReasonForm action={`${pathOf(model.id)}/retire`} button="Retire" isDangerous />
          </details>
        )}
      </Panel>
    )}
    <Panel title="Changes">
      <Table
        caption="Changes"
        rows={model.changes}
        empty="Nothing was changed."
        columns={[
          { title: "When", cell: ({ at }) => <Time viewer={viewer} at={at} now={now} /> },
          { title: "What", cell: ({ action }) => inWords(action) },
          { title: "Who", cell: ({ who }) => who },
          { title: "Why", cell: ({ why }) => why ?? "–" },
          {
            title: "Gates",
            cell: ({ gates }) =>
              gates === null
                ? "–"
                : gates.gates.map(({ name, status }) => `${inWords(name)}: ${inWords(status)}`).join(", "),
          },
        ]}
      />
    </Panel>
    <Panel title="Alarms">
      <Table
        caption="Alarms"
        rows={monitoring.alarms.data}
        empty="There are none."
        columns={[
          { title: "Raised", cell: ({ raisedAt }) => <Time viewer={viewer} at={raisedAt} now={now} /> },
          { title: "Measure", cell: ({ measure }) => inWords(measure) },
          { title: "Status", cell: ({ status }) => <Badge tone={status === "open" ? "bad" : "plain"}>{status}</Badge> },
          { title: "Action", cell: ({ action }) => inWords(action) },
        ]}
      />
    </Panel>
  </>
)
