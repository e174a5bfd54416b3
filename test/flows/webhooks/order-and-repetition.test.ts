/** Order and repetition do not matter: any permutation, any duplication, any split into concurrent deliveries. */
import fc from "fast-check"
import { beforeAll, expect, test } from "vitest"
import { sendStripe } from "../../support/events/providers.ts"
import { describeState, failedRenewalScenario, unlinkedChargeScenario } from "../../support/events/scenario.ts"
import { reset, sql, waitUntilProcessed, worldNow } from "../../support/world/world.ts"

const STORY_EVENTS = 7

let end: Date
let inOrder: string
let lives = 0

/** Delivers a story in groups: the events of a group are sent at once. Answers the state in words. */
async function live(groups: readonly (readonly number[])[]): Promise<string> {
  const tag = `life${(lives++).toString(36).padStart(4, "0")}`
  const { events } = failedRenewalScenario(tag, end)
  for (const group of groups) {
    const answers = await Promise.all(group.map((index) => sendStripe(events[index])))
    expect(answers.map((answer) => answer.status)).toEqual(group.map(() => 200))
  }
  await waitUntilProcessed()
  return describeState(tag)
}

beforeAll(async () => {
  await reset()
  end = await worldNow()
  inOrder = await live(Array.from({ length: STORY_EVENTS }, (_, index) => [index]))
})

test("the story told in order ends as it should", async () => {
  expect(
    JSON.parse(inOrder).cases.map((entry: Record<string, unknown>) => [entry.kind, entry.status, entry.failure_count]),
  ).toEqual([
    ["cancellation", "recovered", 0],
    ["payment", "reversed", 2],
  ])
})

/** A permutation with every event once to three times, cut into groups that are delivered at once. */
const telling = fc
  .tuple(
    fc.array(fc.integer({ min: 1, max: 3 }), { minLength: STORY_EVENTS, maxLength: STORY_EVENTS }),
    fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 3 * STORY_EVENTS, maxLength: 3 * STORY_EVENTS }),
  )
  .chain(([copies, sizes]) => {
    const deliveries = copies.flatMap((count, index) => Array.from({ length: count }, () => index))
    return fc.shuffledSubarray(deliveries, { minLength: deliveries.length }).map((order) => {
      const groups: number[][] = []
      for (let start = 0, n = 0; start < order.length; n++) {
        const size = sizes[n] ?? 1
        groups.push(order.slice(start, start + size))
        start += size
      }
      return groups
    })
  })

test("any order, any repetition and any concurrency of the same webhooks end in the same state, byte for byte", async () => {
  await fc.assert(
    fc.asyncProperty(telling, async (groups) => {
      expect(await live(groups)).toBe(inOrder)
    }),
    { numRuns: 60 },
  )
})

/** All orders of so many events. */
const ordersOf = (count: number): number[][] =>
  count === 0
    ? [[]]
    : ordersOf(count - 1).flatMap((order) =>
        Array.from({ length: count }, (_, place) => [...order.slice(0, place), count - 1, ...order.slice(place)]),
      )

test("an event that says nothing but whose object it is counts like any other, in all orders", async () => {
  const states = new Map<string, number[]>()
  for (const [index, order] of ordersOf(4).entries()) {
    const tag = `odd${index.toString().padStart(4, "0")}`
    const { events } = unlinkedChargeScenario(tag, end)
    for (const place of order) expect((await sendStripe(events[place])).status).toBe(200)
    await waitUntilProcessed()
    states.set(await describeState(tag), order)
  }
  expect([...states.values()]).toHaveLength(1)
  const [words = ""] = states.keys()
  expect(JSON.parse(words).cases).toMatchObject([{ status: "reversed" }])
})

test("all at once ends in the same state", async () => {
  for (let round = 0; round < 5; round++) {
    expect(await live([Array.from({ length: STORY_EVENTS }, (_, index) => index)])).toBe(inOrder)
  }
})

test("however the webhooks came, no nudge was planned or sent twice", async () => {
  const doubled = await sql(
    `select case_id, step, channel from nudges where step is not null group by company_id, case_id, step, channel having count(*) > 1`,
  )
  expect(doubled).toEqual([])
  const sentTwice = await sql(
    `select body ->> 'nudgeId' from facts where kind = 'nudge_sent' group by 1 having count(*) > 1`,
  )
  expect(sentTwice).toEqual([])
})
