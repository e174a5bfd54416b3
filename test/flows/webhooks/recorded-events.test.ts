/** Real events, recorded by other projects (test/fixtures/stripe/README.md). */
import { beforeAll, expect, test } from "vitest"
import { recordedEvents } from "../../fixtures/stripe/recorded.ts"
import { sendStripe } from "../../support/events/providers.ts"
import { reset, sql, waitUntilProcessed } from "../../support/world/world.ts"

beforeAll(reset)

test("every recorded event is accepted, and stored once when delivered five times at once", async () => {
  const events = recordedEvents()
  expect(events.length).toBeGreaterThanOrEqual(115)
  for (const [index, recorded] of events.entries()) {
    // Many recordings share a blanked id; here each gets its own.
    const event = { ...recorded.body, id: `evt_recorded_${index}` }
    const answers = await Promise.all(Array.from({ length: 5 }, () => sendStripe(event)))
    expect(
      answers.map((answer) => answer.status),
      recorded.name,
    ).toEqual([200, 200, 200, 200, 200])
    expect(
      answers.filter((answer) => answer.body.duplicate === false),
      recorded.name,
    ).toHaveLength(1)
    expect(new Set(answers.map((answer) => answer.body.id)).size, recorded.name).toBe(1)
  }
  await waitUntilProcessed()
  const [row] = await sql<{ events: string; ids: string }>(
    "select count(*) as events, count(distinct provider_event_id) as ids from webhook_events",
  )
  expect(row).toEqual({ events: String(events.length), ids: String(events.length) })
  const statuses = await sql<{ status: string }>("select distinct status from webhook_events order by 1")
  expect(statuses.map((entry) => entry.status)).toEqual(["processed", "unhandled"])
})

test("recorded events with the ids they were recorded with are accepted too", async () => {
  for (const { body, name } of recordedEvents()) {
    const answer = await sendStripe(JSON.stringify(body))
    expect(answer.status, name).toBe(200)
  }
})
