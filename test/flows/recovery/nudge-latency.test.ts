/** Every nudge is sent within a minute of its due time, at any offset between two runs of `reminders`. */
import { afterEach, beforeEach, expect, test } from "vitest"
import { failPayment, messages } from "../../support/actions/members.ts"
import { fresh } from "../../support/events/providers.ts"
import {
  advanceClock,
  api,
  mailbox,
  reset,
  setFault,
  sql,
  waitUntilProcessed,
  worldNow,
} from "../../support/world/world.ts"

const LATENCY_SECONDS_MAX = 60

beforeEach(reset)
afterEach(() => setFault("email", "off"))

const putSettings = async (settings: object) => {
  const answer = await api("/api/settings", {
    method: "PUT",
    body: JSON.stringify(settings),
    headers: { "content-type": "application/json" },
  })
  expect(answer.status).toBe(200)
}

const playbook = (...steps: readonly object[]) => ({
  quietHours: null,
  playbooks: { payment: steps, cancellation: [], at_risk: [] },
})

/** Seconds between due time and sending of each message. */
const lateness = async (): Promise<number[]> =>
  (
    await sql<{ seconds: string }>(
      "select extract(epoch from sent_at - due_at) as seconds from nudges where status = 'sent' order by due_at",
    )
  ).map(({ seconds }) => Number(seconds))

const expectOnTime = async (count: number): Promise<void> => {
  const seconds = await lateness()
  expect(seconds).toHaveLength(count)
  expect(seconds.filter((late) => late < 0 || late > LATENCY_SECONDS_MAX)).toEqual([])
}

test("planned days before, at several offsets in the interval of reminders", async () => {
  await putSettings(playbook({ day: 0 }, { day: 1 }))
  for (let member = 0; member < 6; member++) {
    await failPayment(fresh("cus"), fresh("in"))
    await messages(member + 1)
    await advanceClock("PT53S")
  }
  await advanceClock("P1DT10M")
  expect(await mailbox()).toHaveLength(12)
  await expectOnTime(12)
})

test("postponed because a member gets one message a day", async () => {
  await putSettings(playbook({ day: 0 }))
  const customer = fresh("cus")
  await failPayment(customer, fresh("in"))
  await messages(1)
  await advanceClock("PT57M43S")
  await failPayment(customer, fresh("in"))
  await waitUntilProcessed()
  await advanceClock("P1DT10M")
  expect(await mailbox()).toHaveLength(2)
  await expectOnTime(2)
})

/** Moves the clock to so many seconds after a run of `reminders`, which runs every five minutes. */
async function afterRun(seconds: number): Promise<void> {
  const INTERVAL = 300
  const since = Math.floor((await worldNow()).getTime() / 1000) % INTERVAL
  await advanceClock(`PT${(INTERVAL + seconds - since) % INTERVAL || INTERVAL}S`)
}

// At each offset, the next run of `reminders` is more than a minute after the retry is due.
test.each([30, 100, 170])("retried %i seconds after a run, when the channel was down", async (offset) => {
  await putSettings(playbook({ day: 0 }))
  await afterRun(offset)
  await setFault("email", "down")
  const failedAt = (await worldNow()).getTime()
  await failPayment(fresh("cus"), fresh("in"))
  await waitUntilProcessed()
  await advanceClock("PT10S") // past the wait for the decline reason
  const read = async () =>
    (await sql<{ status: string; attempts: number; due_at: Date; sent_at: Date | null }>("select * from nudges"))[0]
  const refused = await read()
  expect(refused).toMatchObject({ status: "planned", attempts: 1 })
  const retryMs = refused?.due_at.getTime() ?? 0
  // The first retry is after five minutes.
  expect((retryMs - failedAt) / 1000).toBeGreaterThan(300)
  expect((retryMs - failedAt) / 1000).toBeLessThan(320)
  await setFault("email", "off")
  await advanceClock("PT2H")
  const sent = await read()
  expect(sent).toMatchObject({ status: "sent", attempts: 2 })
  const lateSeconds = ((sent?.sent_at?.getTime() ?? 0) - retryMs) / 1000
  expect(lateSeconds).toBeGreaterThanOrEqual(0)
  expect(lateSeconds).toBeLessThanOrEqual(LATENCY_SECONDS_MAX)
  expect(await mailbox()).toHaveLength(1)
})
