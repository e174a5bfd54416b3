/** Scheduled runs: one at a time, once per slot, and taken over when they are lost. */
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { SCHEDULES } from "../../../workers/platform/jobs/schedules.ts"
import { advanceToNewMinute, byCron, byQstash, jobOf, postJobAction, runsOf } from "../../support/actions/jobs.ts"
import { fresh } from "../../support/events/providers.ts"
import { runInProcess } from "../../support/world/run-in-process.ts"
import {
  advanceClock,
  api,
  control,
  reset,
  runHeartbeats,
  setFault,
  sql,
  stats,
  waitFor,
  world,
  worldNow,
} from "../../support/world/world.ts"

beforeEach(reset)
afterEach(async () => {
  for (const target of ["postgres", "stripe-api", "qstash"]) await setFault(target, "off")
})

/** Another worker's run of a job, with a lease of that many seconds. */
async function otherRun(job: string, leaseSeconds: number): Promise<string> {
  const now = await worldNow()
  const until = new Date(now.getTime() + leaseSeconds * 1_000)
  const begun = new Date(Math.min(now.getTime(), until.getTime() - 90_000))
  const [row] = await sql<{ id: string }>(
    `insert into job_runs (job, source, owner, started_at, heartbeat_at, lease_until)
     values ($1, 'cron', 'another worker', $2, $2, $3) returning id`,
    [job, begun, until],
  )
  return row?.id ?? ""
}

describe("a slot runs once", () => {
  test("when QStash and Cron Triggers both run all jobs by themselves", async () => {
    await runHeartbeats("live")
    await advanceClock("PT1H")
    const jobs = await sql<{ job: string }>("select distinct job from job_runs where slot is not null")
    expect(jobs.map(({ job }) => job).sort()).toEqual(SCHEDULES.map(({ job }) => job).sort())
    expect(await sql("select job, slot from job_runs group by job, slot having count(*) > 1")).toEqual([])
    expect((await jobOf("sweep")).heartbeats).toEqual({ qstash: expect.any(String), cron: expect.any(String) })
  })

  test("when both triggers fire at once, twice each", async () => {
    const now = await advanceToNewMinute()
    const fired = await Promise.all([
      ...[1, 2, 3].map(() => byQstash("sweep")),
      ...[1, 2].map(async () => byCron("* * * * *", now)),
    ])
    const runs = await runsOf("sweep")
    expect(runs).toMatchObject([{ outcome: "swept", error: null }])
    const words = fired.flatMap((answer) => (answer ? [answer.body.outcome] : []))
    expect(words.filter((word) => word === "already_run")).toHaveLength(runs[0]?.source === "qstash" ? 2 : 3)
    expect((await jobOf("sweep")).heartbeats).toEqual({ qstash: expect.any(String), cron: expect.any(String) })
  })

  test("when a trigger comes late, or again after the next slot", async () => {
    const now = await advanceToNewMinute()
    expect((await byQstash("reminders")).body).toMatchObject({ outcome: "dispatched" })
    for (const minutes of [0, 5, 60]) await byCron("*/5 * * * *", new Date(now.getTime() - minutes * 60_000))
    expect(await runsOf("reminders")).toHaveLength(1)
    await advanceClock("PT5M")
    expect(await runsOf("reminders")).toHaveLength(2)
  })

  test("and again by the other trigger when its run failed or was released", async () => {
    await advanceToNewMinute()
    for (const error of ["thrown", "released"]) {
      await byQstash("sweep")
      await sql("update job_runs set error = $1", [error])
      expect((await byQstash("sweep")).body).toMatchObject({ outcome: "swept" })
      expect((await byQstash("sweep")).body).toMatchObject({ outcome: "already_run" })
    }
  })

  test("but a manual run is not refused for that", async () => {
    await advanceToNewMinute()
    await byQstash("sweep")
    expect((await byQstash("sweep", '{"outOfTurn":true}')).body).toMatchObject({ outcome: "swept" })
    expect((await postJobAction("sweep", "run")).body).toMatchObject({ outcome: "swept" })
    expect((await api("/jobs/sweep", { method: "POST" })).body).toMatchObject({ outcome: "swept" })
    expect((await runsOf("sweep")).map(({ source }) => source)).toEqual(["qstash", "qstash", "operator", "operator"])
  })
})

describe("a running job", () => {
  test("prevents every other run of it", async () => {
    const now = await advanceToNewMinute()
    const id = await otherRun("sweep", 60)
    expect((await byQstash("sweep")).body).toMatchObject({ outcome: "already_running" })
    await byCron("* * * * *", now)
    expect((await api("/jobs/sweep", { method: "POST" })).body).toMatchObject({
      outcome: "already_running",
      counts: {},
    })
    expect(await postJobAction("sweep", "run")).toMatchObject({
      status: 409,
      body: { code: "CONFLICT", detail: "The job is running already." },
    })
    expect((await runsOf("sweep")).map((run) => run.id)).toEqual([id])
    expect((await jobOf("sweep")).running).toMatchObject({ id, isStuck: false, owner: "another worker" })
    expect((await byQstash("reminders")).body).toMatchObject({ outcome: "dispatched" })
  })

  test("whose worker was lost is shown as stuck, and is taken over by a run with a higher fencing token", async () => {
    await advanceToNewMinute()
    const id = await otherRun("sweep", -1)
    expect((await jobOf("sweep")).running).toMatchObject({ id, isStuck: true })
    expect(await api("/api/health/scheduler")).toMatchObject({ status: 200, body: { status: "warn", stuckJobs: 1 } })

    const takers = await Promise.all([byQstash("sweep"), byQstash("sweep"), byQstash("sweep")])
    expect(takers.map(({ body }) => body.outcome).sort()).toEqual(["already_run", "already_run", "swept"])
    const [lost, successor, ...more] = await runsOf("sweep")
    expect(more).toEqual([])
    expect(lost).toMatchObject({ id, outcome: "lost", error: "lease_expired" })
    expect(successor).toMatchObject({ outcome: "swept", error: null })
    expect(Number(successor?.fence)).toBeGreaterThan(Number(lost?.fence))
    expect((await api("/api/health/scheduler")).body).toMatchObject({ status: "pass" })
  })

  test("cannot be doubled, even without the function that begins runs", async () => {
    await advanceToNewMinute()
    await otherRun("sweep", 60)
    await expect(otherRun("sweep", 60)).rejects.toThrow(/job_runs_unfinished/)
  })
})

/** A sweep that takes a while, because Stripe answers slowly about these objects. */
async function slowSweep(objects: number) {
  const now = await advanceToNewMinute()
  await setFault("stripe-api", "slow")
  for (let index = 0; index < objects; index++) {
    await sql(
      `insert into object_links (company_id, provider, object_id, root_id, is_customer, holds_facts, created_at)
       values ($1, 'stripe', $2, $2, false, true, $3)`,
      [world().companyId, fresh("ch"), new Date(now.getTime() - 20 * 60_000)],
    )
  }
  const answer = api<{ outcome: string; counts: Record<string, number> }>("/api/jobs/sweep/run", { method: "POST" })
  const asked = async () => (await sql("select 1 from object_links where asked_at is not null")).length
  await waitFor(async () => (await asked()) > 0)
  return { answer, asked }
}

describe("a run in progress", () => {
  test("stops at its next heartbeat after an operator has released it, and another may begin at once", async () => {
    const { answer, asked } = await slowSweep(8)
    const { running } = await jobOf("sweep")
    expect(running).toMatchObject({ isStuck: false, source: "operator", heartbeatAt: expect.any(String) })
    const released = await postJobAction("sweep", "release")
    expect(released).toMatchObject({ status: 200, body: { running: null, lastRun: { id: running?.id } } })
    await sql("update object_links set created_at = created_at + interval '15 minutes' where asked_at is null")
    expect((await postJobAction("reminders", "run")).status).toBe(200)
    expect((await byQstash("sweep")).body).toMatchObject({ outcome: "swept" })

    expect(await answer).toMatchObject({ status: 200, body: { outcome: "lost" } })
    const [first] = await runsOf("sweep")
    expect(first).toMatchObject({ id: running?.id, outcome: "released", error: "released" })
    expect(await asked()).toBeLessThan(8)
  })

  test("stops at its next heartbeat after another has taken over, and does not end that one", async () => {
    const { answer, asked } = await slowSweep(8)
    await sql("update job_runs set lease_until = started_at where finished_at is null")
    await sql("update object_links set created_at = created_at + interval '15 minutes' where asked_at is null")
    const successor = await byQstash("sweep")
    expect(successor.body).toMatchObject({ outcome: "swept" })
    const { body } = await answer
    expect(body.outcome).toBe("lost")
    expect(await asked()).toBeLessThan(8)
    const [old, next] = await runsOf("sweep")
    expect(old).toMatchObject({ outcome: "lost", error: "lease_expired", source: "operator" })
    expect(next).toMatchObject({ outcome: "swept", source: "qstash" })
  })

  test("extends its lease while it works", async () => {
    const { answer } = await slowSweep(3)
    await answer
    const [run] = await sql<{ has_beaten: boolean; extended: boolean }>(
      "select heartbeat_at > started_at as has_beaten, lease_until > started_at + interval '90 s' as extended from job_runs",
    )
    expect(run).toEqual({ has_beaten: true, extended: true })
  })

  test("ends although that cannot be recorded", async () => {
    const { answer } = await slowSweep(1)
    await setFault("postgres", "down")
    expect(await answer).toMatchObject({ status: 200, body: { outcome: "swept" } })
    await setFault("postgres", "off")
    expect(await runsOf("sweep")).toMatchObject([{ outcome: null, finished_at: null }])
    await advanceClock("PT3M")
    expect(await runsOf("sweep")).toMatchObject([{ outcome: "lost" }, { outcome: "swept" }])
  })
})

test("a worker that is killed at any call of a run delays the job by at most its lease", async () => {
  const request = () =>
    new Request(`${world().vars.APP_URL}/jobs/reminders`, {
      method: "POST",
      headers: { authorization: `Bearer ${world().adminApiKey}` },
    })
  await advanceToNewMinute()
  const { status, calls } = await runInProcess(request(), null)
  expect(status).toBe(200)
  for (let call = 2; call <= calls; call++) {
    for (const when of ["before", "after"] as const) {
      await runInProcess(request(), { call, when })
      await advanceClock("PT10M")
      const { running, lastRun } = await jobOf("reminders")
      expect([call, when, running, lastRun?.outcome]).toEqual([call, when, null, "dispatched"])
    }
  }
  const lost = (await runsOf("reminders")).filter(({ outcome }) => outcome === "lost")
  // Before the lease the clock and the rate limit are called.
  expect(lost.length).toBeGreaterThanOrEqual(calls - 2)
})

test("a run of reminders costs four round trips to Postgres", async () => {
  await advanceToNewMinute()
  await api("/jobs/reminders", { method: "POST" })
  await control("DELETE", "/stats")
  expect((await api("/jobs/reminders", { method: "POST" })).status).toBe(200)
  // Begin, claim what is due, read what is due before the next run, end.
  expect((await stats()).postgres).toBe(4)
  await control("DELETE", "/stats")
  await otherRun("reminders", 60)
  await api("/jobs/reminders", { method: "POST" })
  expect((await stats()).postgres).toBe(1)
})

test("runs older than a month are deleted, found by an index", async () => {
  const now = await advanceToNewMinute()
  const days = (count: number) => new Date(now.getTime() - count * 86_400_000)
  await sql(
    `insert into job_runs (job, source, started_at, finished_at, outcome)
     select 'gone', 'cron', t, t, 'done' from generate_series($1::timestamptz, $2::timestamptz, interval '5 min') as t`,
    [days(32), days(28)],
  )
  await sql("analyze job_runs")
  const plan = await sql<{ "QUERY PLAN": string }>(
    "explain select id from job_runs where started_at < now() - interval '40 days' order by started_at limit 1000",
  )
  expect(plan.map((row) => row["QUERY PLAN"]).join("\n")).toMatch(/Index.*job_runs_by_age/)
  await postJobAction("sweep", "run")
  const [left] = await sql<{ old: string; kept: string }>(
    "select count(*) filter (where started_at < $1) as old, count(*) filter (where started_at > $1) as kept from job_runs",
    [days(30)],
  )
  expect(left?.old).toBe("0")
  expect(Number(left?.kept)).toBeGreaterThan(500)
})
