import { expect, test } from "vitest"
import { createLogger } from "../../../shared/observability/log.ts"
import { createBudget } from "../outbound/budget.ts"
import { LeaseLost } from "./job.ts"
import { heartbeat } from "./lease.ts"

const CALLS = 50

/** A run that began at second 0; `answers` are the database's answers to its heartbeats. */
function running(answers: readonly (boolean | Error)[]) {
  const atSecond = (second: number) => new Date(Date.UTC(2026, 2, 1) + second * 1_000)
  let now = atSecond(0)
  const calls: Date[] = []
  const log = createLogger({ now: () => now, fields: {}, write: () => undefined })
  const budget = createBudget(CALLS)
  const { extendLease } = heartbeat({ now: () => now, log, budget }, now, async (at) => {
    const answer = answers[calls.push(at) - 1] ?? true
    if (answer instanceof Error) throw answer
    return answer
  })
  return {
    calls,
    budget,
    heartbeatAt: (second: number) => {
      now = atSecond(second)
      return extendLease()
    },
  }
}

test("frequent heartbeats call the database once in five seconds", async () => {
  const { calls, heartbeatAt } = running([])
  for (let second = 0; second < 60; second += 0.5) await heartbeatAt(second)
  expect(calls).toHaveLength(11)
})

test("a heartbeat takes no subrequest that is reserved", async () => {
  const { calls, budget, heartbeatAt } = running([])
  const reservation = budget.reserve(CALLS)
  await heartbeatAt(10)
  expect(calls).toEqual([])
  reservation?.release()
  await heartbeatAt(11)
  expect(calls).toHaveLength(1)
})

test("a run that was ended by somebody else stops at its next heartbeat", async () => {
  const { heartbeatAt } = running([true, false])
  await heartbeatAt(5)
  await expect(heartbeatAt(10)).rejects.toThrow(LeaseLost)
})

test("a run goes on while the database is unavailable, until its lease expires", async () => {
  const away = new Error("away")
  const { heartbeatAt } = running([away, true, away, away, away])
  await heartbeatAt(60)
  await heartbeatAt(80)
  await heartbeatAt(100)
  await heartbeatAt(164)
  await expect(heartbeatAt(170)).rejects.toThrow(LeaseLost)
})
