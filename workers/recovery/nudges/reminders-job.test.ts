import { expect, test } from "vitest"
import { intervalMs, scheduleOf } from "../../platform/jobs/schedules.ts"
import { PUBLISH_AHEAD_MS } from "./enqueue-nudges.ts"
import { chunksByTime } from "./reminders-job.ts"

const nudge = (companyId: string, id: string, dueAt: string) => ({
  companyId,
  id,
  dueAt: new Date(`2026-03-01T${dueAt}Z`),
})

test("a run publishes everything that is due before the next run, and before a late start of it", () => {
  const schedule = scheduleOf("reminders")
  if (schedule === null) throw new Error("reminders has no schedule")
  expect(PUBLISH_AHEAD_MS).toBeGreaterThanOrEqual(intervalMs(schedule.cron) + 60_000)
})

test("a chunk has nudges of one company that are due within 30 seconds, for the time of the last of them", () => {
  const chunks = chunksByTime(
    [
      nudge("one", "d", "09:02:00"),
      nudge("one", "a", "09:00:00"),
      nudge("one", "b", "09:00:29.999"),
      nudge("one", "c", "09:00:30"),
      nudge("other", "a", "09:00:12"),
    ],
    20,
  )
  expect(
    chunks.map(({ companyId, nudgeIds, notBefore }) => [companyId, nudgeIds, notBefore.toISOString().slice(11)]),
  ).toEqual([
    ["one", ["a", "b"], "09:00:29.999Z"],
    ["other", ["a"], "09:00:12.000Z"],
    ["one", ["c"], "09:00:30.000Z"],
    ["one", ["d"], "09:02:00.000Z"],
  ])
})

test("a chunk holds no more than it is allowed to", () => {
  const many = Array.from({ length: 5 }, (_, index) => nudge("one", String(index), "09:00:00"))
  expect(chunksByTime(many, 2).map(({ nudgeIds }) => nudgeIds.length)).toEqual([2, 2, 1])
})
