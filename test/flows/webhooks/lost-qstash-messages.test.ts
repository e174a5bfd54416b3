/** A short failure of Postgres delays an event and does not use up its attempts. */
import { beforeEach, expect, test } from "vitest"
import { advanceToNewMinute } from "../../support/actions/jobs.ts"
import { failPayment } from "../../support/actions/members.ts"
import { fresh } from "../../support/events/providers.ts"
import { runInProcess } from "../../support/world/run-in-process.ts"
import { advanceClock, reset, sql, waitUntilProcessed, world } from "../../support/world/world.ts"

beforeEach(reset)

const sweep = (): Request =>
  new Request(`${world().vars.APP_URL}/jobs/sweep`, {
    method: "POST",
    headers: { authorization: `Bearer ${world().adminApiKey}` },
  })

interface EventRow {
  readonly status: string
  readonly attempts: number
  readonly error: string | null
}

/** Sets the event to its last attempt, due now. */
const setLastAttempt = () =>
  sql("update webhook_events set status = 'failed', attempts = 7, error = null, next_attempt_at = received_at")

const event = async (): Promise<EventRow | undefined> =>
  (await sql<EventRow & Record<string, unknown>>("select status, attempts, error from webhook_events"))[0]

test("a lost call of a sweep, before or after its effect, does not count as an attempt of the event", async () => {
  await failPayment(fresh("cus"), fresh("in"))
  await waitUntilProcessed()
  await advanceToNewMinute()
  await setLastAttempt()
  const { calls } = await runInProcess(sweep(), null)
  expect(await event()).toMatchObject({ status: "processed" })
  expect(calls).toBeGreaterThan(8)

  const ends = []
  for (let call = 1; call <= calls; call++) {
    for (const when of ["before", "after"] as const) {
      await sql("delete from job_runs")
      await setLastAttempt()
      await runInProcess(sweep(), { call, when, isOnlyCallLost: true })
      const end = await event()
      expect([call, when, end?.status]).not.toEqual([call, when, "dead"])
      ends.push(end)
    }
  }
  const delayed = ends.filter((end) => end?.error === "database_away")
  expect(delayed.length).toBeGreaterThan(2)
  for (const { status, attempts } of delayed.filter((end) => end !== undefined)) {
    expect([status, attempts]).toEqual(["failed", 7])
  }

  await advanceClock("PT20M")
  expect(await event()).toMatchObject({ status: "processed" })
})
