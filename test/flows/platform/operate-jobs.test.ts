/** Jobs as an operator manages them: shown, paused, run manually and released; by operators only. */
import { beforeEach, describe, expect, test } from "vitest"
import { newApiKey } from "../../support/actions/companies.ts"
import { advanceToNewMinute, byCron, byQstash, jobOf, postJobAction, runsOf } from "../../support/actions/jobs.ts"
import { advanceClock, api, reset, sql, worldNow } from "../../support/world/world.ts"

beforeEach(reset)

describe("an operator", () => {
  test("pauses a job for both triggers and every caller, and resumes it", async () => {
    const now = await advanceToNewMinute()
    const paused = await postJobAction("sweep", "pause", { reason: "a migration runs" })
    expect(paused).toMatchObject({
      status: 200,
      body: { isPaused: true, reason: "a migration runs", changedBy: "admin", nextRunAt: null },
    })
    expect((await byQstash("sweep")).body).toMatchObject({ outcome: "paused" })
    await byCron("* * * * *", now)
    expect((await api("/jobs/sweep", { method: "POST" })).body).toMatchObject({ outcome: "paused" })
    expect(await postJobAction("sweep", "run")).toMatchObject({
      status: 409,
      body: { code: "CONFLICT", detail: "The job is paused." },
    })
    await advanceClock("PT10M")
    expect(await runsOf("sweep")).toEqual([])
    expect((await runsOf("reminders")).length).toBeGreaterThan(0)
    const health = (await api("/api/health/scheduler")).body
    expect(health).toMatchObject({ status: "pass", lateJobs: 0 })

    expect((await postJobAction("sweep", "resume")).body).toMatchObject({ isPaused: false, reason: null })
    expect((await postJobAction("sweep", "run")).body).toMatchObject({ outcome: "swept" })
    await advanceClock("PT2M")
    expect((await runsOf("sweep")).length).toBeGreaterThanOrEqual(2)
  })

  test("sees each job with its schedule, its last run and its next", async () => {
    await advanceClock("PT10M")
    const { body } = await api<{ data: { name: string }[]; nextCursor: null }>("/api/jobs")
    expect(body.data.map(({ name }) => name).sort()).toEqual(
      expect.arrayContaining(["ingest", "nudges", "reminders", "sweep"]),
    )
    const sweep = await jobOf("sweep")
    expect(body.data.find(({ name }) => name === "sweep")).toMatchObject({ schedule: "* * * * *", isPaused: false })
    expect(sweep.lastRun).toMatchObject({
      outcome: "swept",
      error: null,
      finishedAt: expect.any(String),
      durationMs: expect.any(Number),
      counts: expect.objectContaining({ events: 0, failed: 0 }),
    })
    const reminders = await jobOf("reminders")
    const minutes = (Date.parse(reminders.nextRunAt ?? "") - (await worldNow()).getTime()) / 60_000
    expect(new Date(reminders.nextRunAt ?? "").getUTCMinutes() % 5).toBe(0)
    expect(minutes).toBeGreaterThan(-0.1)
    expect(minutes).toBeLessThanOrEqual(5)
    expect(await jobOf("nudges")).toMatchObject({ schedule: null, nextRunAt: null, lastRun: null, running: null })
  })

  test("pages through a job's runs, and filters them", async () => {
    await advanceToNewMinute()
    for (let run = 0; run < 5; run++) await postJobAction("sweep", "run")
    await byQstash("sweep")
    type Page = { data: { id: string; source: string }[]; nextCursor: string | null }
    const seen: string[] = []
    for (let cursor: string | null = ""; cursor !== null; ) {
      const { body }: { body: Page } = await api<Page>(`/api/jobs/sweep/runs?limit=2${cursor && `&cursor=${cursor}`}`)
      seen.push(...body.data.map(({ id }) => id))
      cursor = body.nextCursor
    }
    expect(seen).toEqual((await runsOf("sweep")).map(({ id }) => id).reverse())
    const { body } = await api<Page>("/api/jobs/sweep/runs?source=qstash&outcome=swept")
    expect(body.data).toMatchObject([{ source: "qstash" }])
    for (const query of ["source=me", "outcome=A%20B", "cursor=x", "limit=0", "unknown=1"]) {
      expect([query, (await api(`/api/jobs/sweep/runs?${query}`)).status]).toEqual([query, 400])
    }
  })

  test("gets an error for what is not possible", async () => {
    await advanceToNewMinute()
    expect(await postJobAction("sweep", "release")).toMatchObject({ status: 409, body: { code: "CONFLICT" } })
    for (const verb of ["run", "pause", "resume", "release"] as const) {
      const body = verb === "pause" ? { reason: "x" } : undefined
      expect((await postJobAction("nothing", verb, body)).status).toBe(404)
      expect(await postJobAction("nudges", verb, body)).toMatchObject({ status: 409, body: { code: "CONFLICT" } })
    }
    for (const body of [
      {},
      { reason: "" },
      { reason: "x".repeat(201) },
      { reason: "a\nb" },
      { reason: "x", more: 1 },
    ]) {
      expect((await postJobAction("sweep", "pause", body)).status).toBe(400)
    }
    expect((await api("/api/jobs/nothing")).status).toBe(404)
    expect(await sql("select 1 from job_states where is_paused")).toEqual([])
  })

  test("is not a company's key, whatever its role", async () => {
    for (const role of ["admin", "success-manager", "success-analyst"] as const) {
      const key = await newApiKey(role)
      for (const path of ["/api/jobs", "/api/jobs/sweep", "/api/jobs/sweep/runs"]) {
        expect([role, path, (await api(path, { key })).status]).toEqual([role, path, 403])
      }
      for (const verb of ["run", "pause", "resume", "release"] as const) {
        expect([role, verb, (await postJobAction("sweep", verb, { reason: "x" }, key)).status]).toEqual([
          role,
          verb,
          403,
        ])
      }
    }
  })
})
