import { expect, test } from "vitest"
import { worstOf } from "./check.ts"
import { nextReminders, remindersStatus, waitingStatus } from "./checks.ts"

const now = new Date("2026-03-01T10:07:30Z")
const minutesAgo = (minutes: number): Date => new Date(now.getTime() - minutes * 60_000)

test("an event may wait five minutes, and fifteen are a failure", () => {
  expect([0, 300_000, 300_001, 900_000, 900_001].map(waitingStatus)).toEqual(["pass", "pass", "warn", "warn", "fail"])
})

test("a scheduler that is late matters only while something is due", () => {
  expect(remindersStatus({ due: 0 }, null, now)).toBe("pass")
  expect(remindersStatus({ due: 0 }, minutesAgo(600), now)).toBe("pass")
  expect(remindersStatus({ due: 1 }, minutesAgo(15), now)).toBe("pass")
  expect(remindersStatus({ due: 1 }, minutesAgo(16), now)).toBe("warn")
  expect(remindersStatus({ due: 1 }, null, now)).toBe("warn")
})

test("the next round is at the next multiple of five minutes, never now", () => {
  expect(nextReminders(now).toISOString()).toBe("2026-03-01T10:10:00.000Z")
  expect(nextReminders(new Date("2026-03-01T10:10:00Z")).toISOString()).toBe("2026-03-01T10:15:00.000Z")
})

test("the worst part speaks for the whole", () => {
  expect(worstOf([])).toBe("pass")
  expect(worstOf(["pass", "warn", "pass"])).toBe("warn")
  expect(worstOf(["warn", "fail", "pass"])).toBe("fail")
})
