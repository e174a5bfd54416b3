/** Jobs with their runs, and dead letters. */
import { Hono } from "hono"
import type { FC } from "hono/jsx"
import { AppError } from "../../../platform/errors.ts"
import type { AnswerOf } from "../../../reference/answers/all.ts"
import { exportOf } from "../../export.ts"
import { act, type DashboardEnv, formOf, frameOf, show } from "../../page.tsx"
import { inWords } from "../../parts/cases.tsx"
import { Badge, ExportLink, Heading, Panel, PostForm, Table, Time } from "../../parts/parts.tsx"
import { number, type Viewer } from "../../viewer.ts"

const PATH = "/dashboard/jobs"
const pathOf = (name: string) => `${PATH}/${encodeURIComponent(name)}`

export const jobs = new Hono<DashboardEnv>()
  .get("/", async (c) => {
    const ask = c.get("ask")
    const [all, letters] = await Promise.all([ask("GET /api/jobs"), ask("GET /api/dead-letters")])
    return show(c, "Jobs", PATH, <JobsPage {...frameOf(c)} jobs={all.data} letters={letters} />)
  })
  .get("/export", (c) => exportOf(c, "jobs", () => c.get("ask")("GET /api/jobs"), JOB_COLUMNS))
  .get("/:name", async (c) => {
    const params = c.req.param()
    const [job, runs] = await Promise.all([
      c.get("ask")("GET /api/jobs/:name", { params }),
      c.get("ask")("GET /api/jobs/:name/runs", { params, query: { limit: 30 } }),
    ])
    return show(c, job.name, PATH, <JobPage {...frameOf(c)} job={job} runs={runs.data} />)
  })
  .post("/:name/run", (c) =>
    act(c, pathOf(c.req.param("name")), async () => {
      await c.get("ask")("POST /api/jobs/:name/run", { params: c.req.param() })
      return "run"
    }),
  )
  .post("/:name/pause", async (c) => {
    const { reason } = await formOf(c)
    return act(c, pathOf(c.req.param("name")), async () => {
      await c.get("ask")("POST /api/jobs/:name/pause", { params: c.req.param(), body: { reason } })
      return "paused"
    })
  })
  .post("/:name/resume", (c) =>
    act(c, pathOf(c.req.param("name")), async () => {
      await c.get("ask")("POST /api/jobs/:name/resume", { params: c.req.param() })
      return "resumed"
    }),
  )
  .post("/:name/release", (c) =>
    act(c, pathOf(c.req.param("name")), async () => {
      await c.get("ask")("POST /api/jobs/:name/release", { params: c.req.param() })
      return "freed"
    }),
  )

const JOB_COLUMNS = ["name", "schedule", "isPaused", "reason", "changedBy", "running", "lastRun", "nextRunAt"] as const

export const deadLetters = new Hono<DashboardEnv>()
  .get("/export", (c) =>
    exportOf(
      c,
      "dead-letters",
      async (query) => {
        const found = await c.get("ask")("GET /api/dead-letters", { query })
        if (found.unavailable.length > 0) throw new AppError("UNAVAILABLE", "Not all dead letters can be listed now.")
        return found
      },
      LETTER_COLUMNS,
    ),
  )
  .post("/:kind/:id/retry", (c) =>
    act(c, PATH, async () => {
      await c.get("ask")("POST /api/dead-letters/:kind/:id/retry", { params: c.req.param() })
      return "retried"
    }),
  )

const LETTER_COLUMNS = [
  "kind",
  "id",
  "reason",
  "job",
  "eventId",
  "attempts",
  "responseStatus",
  "at",
  "isRetryable",
] as const

type Job = AnswerOf<"GET /api/jobs">["data"][number]

const JobState: FC<{ readonly job: Job }> = ({ job }) => {
  if (job.isPaused) return <Badge tone="warn">paused</Badge>
  if (job.running?.isStuck) return <Badge tone="bad">stuck</Badge>
  if (job.running !== null) return <Badge tone="info">running</Badge>
  if (job.lastRun?.outcome === "failed") return <Badge tone="bad">failed</Badge>
  return <Badge tone={job.lastRun === null ? "plain" : "good"}>{job.lastRun === null ? "never ran" : "ok"}</Badge>
}

const JobsPage: FC<{
  readonly viewer: Viewer
  readonly now: Date
  readonly jobs: readonly Job[]
  readonly letters: AnswerOf<"GET /api/dead-letters">
}> = ({ viewer, now, jobs: all, letters }) => (
  <>
    <Heading title="Jobs" lead="Each job is started by QStash and by a Cron Trigger, so that one of them can fail.">
      <ExportLink path={PATH} what="jobs" />
    </Heading>
    <Table
      caption="Jobs"
      rows={all}
      empty="There are no jobs."
      columns={[
        { title: "Job", cell: ({ name }) => <a href={pathOf(name)}>{name}</a> },
        { title: "State", cell: (job) => <JobState job={job} /> },
        {
          title: "Last run",
          cell: ({ lastRun }) => <Time viewer={viewer} at={lastRun?.startedAt ?? null} now={now} />,
        },
        { title: "Outcome", cell: ({ lastRun }) => inWords(lastRun?.outcome ?? null) },
        { title: "Next", cell: ({ nextRunAt }) => <Time viewer={viewer} at={nextRunAt} now={now} /> },
      ]}
    />
    <Panel title="Dead letters" note="These are not retried automatically.">
      <p>
        <ExportLink path="/dashboard/dead-letters" what="dead letters" />
      </p>
      {letters.unavailable.length > 0 && (
        <p class="notice refused">Not all can be listed: {letters.unavailable.join(", ")} does not answer now.</p>
      )}
      <Table
        caption="Dead letters"
        rows={letters.data}
        empty="There are none."
        columns={[
          { title: "Since", cell: ({ at }) => <Time viewer={viewer} at={at} now={now} /> },
          { title: "What", cell: ({ kind, job }) => job ?? kind },
          { title: "Why", cell: ({ reason }) => inWords(reason) },
          {
            title: "Attempts",
            isNumber: true,
            cell: ({ attempts }) => (attempts === null ? "–" : number(viewer, attempts)),
          },
          {
            title: "Replay",
            cell: ({ kind, id, isRetryable }) =>
              isRetryable && viewer.can("events:replay") ? (
                <PostForm action={`/dashboard/dead-letters/${kind}/${encodeURIComponent(id)}/retry`}>
                  <button class="quiet" type="submit">
                    Retry
                  </button>
                </PostForm>
              ) : (
                "–"
              ),
          },
        ]}
      />
    </Panel>
  </>
)

const JobPage: FC<{
  readonly viewer: Viewer
  readonly now: Date
  readonly job: Job
  readonly runs: AnswerOf<"GET /api/jobs/:name/runs">["data"]
}> = ({ viewer, now, job, runs }) => (
  <>
    <Heading title={job.name} lead={job.schedule === null ? "Runs on request." : `Schedule: ${job.schedule}`}>
      <JobState job={job} />
    </Heading>
    {job.isPaused && (
      <p class="notice refused">
        Paused by {job.changedBy ?? "an operator"}: {job.reason ?? "no reason given"}
      </p>
    )}
    {viewer.can("jobs:run") && (
      <Panel title="Act">
        <div class="actions">
          <PostForm action={`${pathOf(job.name)}/run`}>
            <button type="submit">Run now</button>
          </PostForm>
          {job.isPaused && (
            <PostForm action={`${pathOf(job.name)}/resume`}>
              <button type="submit">Resume</button>
            </PostForm>
          )}
          {job.running?.isStuck && (
            <PostForm action={`${pathOf(job.name)}/release`}>
              <button class="danger" type="submit">
                End the stuck run
              </button>
            </PostForm>
          )}
        </div>
        {!job.isPaused && (
          <details>
            <summary>Pause</summary>
            <PostForm class="filters" action={`${pathOf(job.name)}/pause`}>
              <label>
                Why
                <input name="reason" required maxlength={200} />
              </label>
              <button type="submit">Pause the job</button>
            </PostForm>
          </details>
        )}
      </Panel>
    )}
    <Panel title="Runs">
      <Table
        caption="Runs"
        rows={runs}
        empty="It has not run yet."
        columns={[
          { title: "Started", cell: ({ startedAt }) => <Time viewer={viewer} at={startedAt} now={now} /> },
          { title: "By", cell: ({ source }) => source },
          { title: "Outcome", cell: ({ outcome, error }) => error ?? inWords(outcome) },
          {
            title: "Took",
            isNumber: true,
            cell: ({ durationMs }) => (durationMs === null ? "–" : `${number(viewer, durationMs)} ms`),
          },
          { title: "Counts", cell: ({ counts }) => countsOf(counts) },
        ]}
      />
    </Panel>
  </>
)

const countsOf = (counts: Readonly<Record<string, unknown>>): string =>
  Object.entries(counts)
    .filter(([, count]) => count !== 0)
    .map(([name, count]) => `${name} ${String(count)}`)
    .join(", ") || "–"
