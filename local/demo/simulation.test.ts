import { expect, test } from "vitest"
import { normalize as readStripe } from "../../workers/providers/stripe/facts/normalize.ts"
import { normalize as readWhop } from "../../workers/providers/whop/facts/normalize.ts"
import { after, type ScheduledEvent } from "./event-builder.ts"
import { makeMembers } from "./members.ts"
import { createRandom } from "./random.ts"
import { createSimulation } from "./simulation.ts"
import { stripeEventBuilder } from "./stripe.ts"
import { whopEventBuilder } from "./whop.ts"

const START = new Date("2026-11-21T12:00:00Z")
const DAYS = 40
const UNRELATED = ["product.updated", "loyalty.points_expired", "entry.created", "forum_post.pinned"]

/** All days of a story in which every member gets the messages they wait for. */
function tellAll(seed: number): ScheduledEvent[][] {
  let serial = 0
  const nextId = (prefix: string): string => {
    serial += 1
    return `${prefix}_test${serial}`
  }
  const at = (day: number, second: number): Date => after(START, (day - 1) * 86_400 + second)
  const random = createRandom(seed)
  const narrators = { stripe: stripeEventBuilder(nextId), whop: whopEventBuilder(nextId) }
  const story = createSimulation({ random, narrators, nextId, at }, makeMembers(random, "test", 120, DAYS))
  return Array.from({ length: DAYS }, (_, day) => {
    const acted = [...story.wishes].flatMap((wish) => {
      story.wishes.delete(wish)
      return wish.then(at(day + 1, 0))
    })
    return [...acted, ...story.tell(day)]
  })
}

function read({ provider, id, at, body }: ScheduledEvent) {
  const event: unknown = JSON.parse(body)
  return provider === "stripe"
    ? readStripe(event)
    : readWhop(event, { receivedAt: at, headers: new Headers({ "webhook-id": id }) })
}

test("the same seed tells the same story, another seed another", () => {
  expect(tellAll(7)).toEqual(tellAll(7))
  expect(tellAll(7)).not.toEqual(tellAll(8))
})

test("every event is understood by the provider's adapter, but for those that are meant not to be", () => {
  const seen = tellAll(1)
    .flat()
    .map((told) => ({ told, delivery: read(told) }))
  expect(seen.filter(({ delivery }) => !delivery.ok)).toEqual([])
  const unread = seen.filter(({ delivery }) => delivery.ok && delivery.value.unhandled !== null)
  expect([...new Set(unread.map(({ told }) => told.type))].sort()).toEqual(UNRELATED.toSorted())
})

test("nothing is told before it happens, and no id twice", () => {
  const days = tellAll(1)
  for (const [day, told] of days.entries()) {
    const end = after(START, day * 86_400)
    expect(told.filter(({ at }) => at > end)).toEqual([])
  }
  const ids = days.flat().map(({ id }) => id)
  expect(new Set(ids).size).toBe(ids.length)
})
