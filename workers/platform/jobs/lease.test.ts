import { expect, test } from "vitest"
import { createLogger } from "../../../shared/observability/log.ts"
import { LeaseLost } from "./job.ts"
import { heartbeat } from "./lease.ts"

/** A run that began at second 0; `answers` are the database's answers to its heartbeats. */
function running(answers: readonly (boolean | Error)[]) {
  const atSecond = (second: number) => new Date(Date.UTC(2026, 2, 1) + second * 1_000)
  let now = atSecond(0)
  const asked: Date[] = []
  const log = createLogger({ now: () => now, fields: {}, write: () => undefined })
  const { extendLease } = heartbeat({ now: () => now, log }, now, async (at) => {
    const answer = answers[asked.push(at) - 1] ?? true
    if (answer instanceof Error) throw answer
    return answer
  })
  return {
    asked,
    heartbeatAt: (second: number) => {
      now = atSecond(second)
      return extendLease()
    },
  }
}

test("frequent heartbeats call the database once in five seconds", async () => {
  const { asked, beatAt } = running([])
  for (let second = 0; second < 60; second += 0.5) await beatAt(second)
  expect(asked).toHaveLength(11)
})

test("a run that was ended by somebody else stops at its next heartbeat", async () => {
  const { beatAt } = running([true, false])
  await beatAt(5)
  await expect(beatAt(10)).rejects.toThrow(LeaseLost)
})

test("a run goes on while the database is unavailable, until its lease expires", async () => {
  const away = new Error("away")
  const { beatAt } = running([away, true, away, away, away])
  await beatAt(60)
  await beatAt(80)
  await beatAt(100)
  await beatAt(164)
  await expect(beatAt(170)).rejects.toThrow(LeaseLost)
})
