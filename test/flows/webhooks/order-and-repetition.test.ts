/** Order and repetition do not matter: any permutation, any duplication, any split into concurrent deliveries. */
import fc from "fast-check"
import { beforeAll, expect, test } from "vitest"
import { sendStripe } from "../../support/events/providers.ts"
import { describeState, failedRenewalScenario, unlinkedChargeScenario } from "../../support/events/scenario.ts"
import { reset, sql, waitUntilProcessed, worldNow } from "../../support/world/world.ts"

const SCENARIO_EVENTS = 7

let end: Date
let inOrder: string
let runs = 0

/** Delivers a scenario in groups; the events of a group are sent concurrently. Returns the state as text. */
async function deliverGroups(groups: readonly (readonly number[])[]): Promise<string> {
  const tag = `life${(runs++).toString(36).padStart(4, "0")}`
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
  inOrder = await deliverGroups(Array.from({ length: SCENARIO_EVENTS }, (_, index) => [index]))
})

test("the scenario in order ends in the expected state", async () => {
  expect(
    JSON.parse(inOrder).cases.map((entry: Record<string, unknown>) => [entry.kind, entry.status, entry.failure_count]),
  ).toEqual([
    ["cancellation", "recovered", 0],
    ["payment", "reversed", 2],
  ])
})

/** A permutation with every event one to three times, in groups that are delivered concurrently. */
const telling = fc
  .tuple(
    fc.array(fc.integer({ min: 1, max: 3 }), { minLength: SCENARIO_EVENTS, maxLength: SCENARIO_EVENTS }),
    fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 3 * SCENARIO_EVENTS, maxLength: 3 * SCENARIO_EVENTS }),
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
      expect(await deliverGroups(groups)).toBe(inOrder)
    }),
    { numRuns: 60 },
  )
})

/** All orders of `count` events. */
const ordersOf = (count: number): number[][] =>
  count === 0
    ? [[]]
    : ordersOf(count - 1).flatMap((order) =>
        Array.from({ length: count }, (_, place) => [...order.slice(0, place), count - 1, ...order.slice(place)]),
      )

test("an event that only links an object to its customer counts, in all orders", async () => {
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
    expect(await deliverGroups([Array.from({ length: SCENARIO_EVENTS }, (_, index) => index)])).toBe(inOrder)
  }
})

test("in any order no nudge is planned or sent twice", async () => {
  const doubled = await sql(
    `select case_id, step, channel from nudges where step is not null group by company_id, case_id, step, channel having count(*) > 1`,
  )
  expect(doubled).toEqual([])
  const sentTwice = await sql(
    `select body ->> 'nudgeId' from facts where kind = 'nudge_sent' group by 1 having count(*) > 1`,
  )
  expect(sentTwice).toEqual([])
})
