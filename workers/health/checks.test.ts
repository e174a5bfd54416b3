import { expect, test } from "vitest"
import { worstStatus } from "./check.ts"
import { hasMissedSlots, isStuck, nextReminders, remindersStatus, waitingStatus } from "./checks.ts"

const now = new Date("2026-03-01T10:07:30Z")
const minutesAgo = (minutes: number): Date => new Date(now.getTime() - minutes * 60_000)

test("an event that waits five minutes is a warning, and fifteen a failure", () => {
  expect([0, 300_000, 300_001, 900_000, 900_001].map(waitingStatus)).toEqual(["pass", "pass", "warn", "warn", "fail"])
})

test("a late scheduler is a warning only while a nudge is due", () => {
  expect(remindersStatus({ due: 0 }, null, now)).toBe("pass")
  expect(remindersStatus({ due: 0 }, minutesAgo(600), now)).toBe("pass")
  expect(remindersStatus({ due: 1 }, minutesAgo(15), now)).toBe("pass")
  expect(remindersStatus({ due: 1 }, minutesAgo(16), now)).toBe("warn")
  expect(remindersStatus({ due: 1 }, null, now)).toBe("warn")
})

test("the next run is at the next multiple of five minutes, never now", () => {
  expect(nextReminders(now).toISOString()).toBe("2026-03-01T10:10:00.000Z")
  expect(nextReminders(new Date("2026-03-01T10:10:00Z")).toISOString()).toBe("2026-03-01T10:15:00.000Z")
})

test("the whole has the worst status of its parts", () => {
  expect(worstStatus([])).toBe("pass")
  expect(worstStatus(["pass", "warn", "pass"])).toBe("warn")
  expect(worstStatus(["warn", "fail", "pass"])).toBe("fail")
})

const run = (startedAt: Date, leaseUntil: Date | null, finishedAt: Date | null) => ({
  ...{ id: "r", job: "sweep", source: "cron", details: null, fence: 1, slot: null, owner: null, error: null },
  ...{ startedAt, leaseUntil, finishedAt, heartbeatAt: startedAt, outcome: finishedAt && "swept" },
})
const paused = (isPaused: boolean) => ({
  ...{ job: "sweep", isPaused, reason: null, changedBy: null, changedAt: null, lastQstashAt: null, lastCronAt: null },
})

test("a run is stuck once its lease has expired", () => {
  expect(isStuck({ running: null }, now)).toBe(false)
  expect(isStuck({ running: run(minutesAgo(9), new Date(now.getTime() + 1), null) }, now)).toBe(false)
  expect(isStuck({ running: run(minutesAgo(9), now, null) }, now)).toBe(true)
})

test("a job is late after three missed slots, unless it is paused, never ran, or is running", () => {
  const sweep = (lastRun: Date | null, isPaused = false, running: Date | null = null) => ({
    job: "sweep",
    state: paused(isPaused),
    lastRun: lastRun && run(lastRun, lastRun, lastRun),
    running: running && run(running, now, null),
  })
  expect(hasMissedSlots(sweep(minutesAgo(3)), now)).toBe(false)
  expect(hasMissedSlots(sweep(minutesAgo(3.1)), now)).toBe(true)
  expect(hasMissedSlots(sweep(minutesAgo(3.1), true), now)).toBe(false)
  expect(hasMissedSlots(sweep(minutesAgo(9), false, minutesAgo(1)), now)).toBe(false)
  expect(hasMissedSlots(sweep(null), now)).toBe(false)
  expect(hasMissedSlots({ ...sweep(minutesAgo(15)), job: "reminders" }, now)).toBe(false)
  expect(hasMissedSlots({ ...sweep(minutesAgo(16)), job: "reminders" }, now)).toBe(true)
  expect(hasMissedSlots({ ...sweep(minutesAgo(600)), job: "nudges" }, now)).toBe(false)
})
