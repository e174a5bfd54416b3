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

/** The events of a group are sent concurrently. */
type Groups = readonly (readonly number[])[]

/** Delivers a scenario in groups for each of some members at once. Returns their states as text. */
async function deliverToMembers(members: readonly Groups[]): Promise<string[]> {
  const tags = members.map(() => `life${(runs++).toString(36).padStart(4, "0")}`)
  await Promise.all(
    members.map(async (groups, member) => {
      const { events } = failedRenewalScenario(tags[member] ?? "", end)
      for (const group of groups) {
        const answers = await Promise.all(group.map((index) => sendStripe(events[index])))
        expect(answers.map((answer) => answer.status)).toEqual(group.map(() => 200))
      }
    }),
  )
  await waitUntilProcessed()
  return Promise.all(tags.map(describeState))
}

const deliverGroups = async (groups: Groups): Promise<string | undefined> => (await deliverToMembers([groups]))[0]

beforeAll(async () => {
  await reset()
  end = await worldNow()
  inOrder = (await deliverGroups(Array.from({ length: SCENARIO_EVENTS }, (_, index) => [index]))) ?? ""
})

test("the scenario in order ends in the expected state", async () => {
  expect(
    JSON.parse(inOrder).cases.map((entry: Record<string, unknown>) => [entry.kind, entry.status, entry.failure_count]),
  ).toEqual([
    ["cancellation", "recovered", 0],
    ["payment", "reversed", 2],
  ])
})

/** Members who get their events at the same time. */
const MEMBERS = 4

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
    fc.asyncProperty(fc.array(telling, { minLength: MEMBERS, maxLength: MEMBERS }), async (members) => {
      expect(await deliverToMembers(members)).toEqual(members.map(() => inOrder))
    }),
    { numRuns: 60 / MEMBERS },
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
  const tags = await Promise.all(
    ordersOf(4).map(async (order, index) => {
      const tag = `odd${index.toString().padStart(4, "0")}`
      const { events } = unlinkedChargeScenario(tag, end)
      for (const place of order) expect((await sendStripe(events[place])).status).toBe(200)
      return { tag, order }
    }),
  )
  await waitUntilProcessed()
  const states = new Map<string, number[]>()
  for (const { tag, order } of tags) states.set(await describeState(tag), order)
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
