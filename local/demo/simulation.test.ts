import { expect, test } from "vitest"
import { PROVIDERS } from "../../shared/domain/facts.ts"
import { normalize as readStripe } from "../../workers/providers/stripe/facts/normalize.ts"
import { normalize as readWhop } from "../../workers/providers/whop/facts/normalize.ts"
import { after, type ScheduledEvent } from "./events/event-builder.ts"
import { stripeEventBuilder } from "./events/stripe.ts"
import { whopEventBuilder } from "./events/whop.ts"
import { makeMembers } from "./members.ts"
import { createRandom } from "./random.ts"
import { createSimulation } from "./simulation.ts"

const START = new Date("2026-11-21T12:00:00Z")
const DAYS = 40
const UNRELATED = ["product.updated", "loyalty.points_expired", "entry.created", "forum_post.pinned"]

/** All days of a simulation in which every member gets the messages they wait for. */
function allEvents(seed: number): ScheduledEvent[][] {
  let serial = 0
  const nextId = (prefix: string): string => {
    serial += 1
    return `${prefix}_test${serial}`
  }
  const at = (day: number, second: number): Date => after(START, (day - 1) * 86_400 + second)
  const random = createRandom(seed)
  const eventBuilders = { stripe: stripeEventBuilder(nextId), whop: whopEventBuilder(nextId) }
  const group = { stamp: "test", count: 120, days: DAYS, isByEmailOnly: false }
  const members = makeMembers(random, { ...group, providers: ["stripe", "stripe", "whop"] })
  const simulation = createSimulation({ random, eventBuilders, nextId, at, providers: PROVIDERS }, members)
  return Array.from({ length: DAYS }, (_, day) => {
    const acted = [...simulation.intentions].flatMap((intention) => {
      simulation.intentions.delete(intention)
      return intention.eventsAfter(at(day + 1, 0))
    })
    return [...acted, ...simulation.eventsOf(day)]
  })
}

function read({ provider, id, at, body }: ScheduledEvent) {
  const event: unknown = JSON.parse(body)
  return provider === "stripe"
    ? readStripe(event)
    : readWhop(event, { receivedAt: at, headers: new Headers({ "webhook-id": id }) })
}

test("the same seed gives the same events, another seed others", () => {
  expect(allEvents(7)).toEqual(allEvents(7))
  expect(allEvents(7)).not.toEqual(allEvents(8))
})

test("the provider's adapter reads every event, except the intentionally unrelated ones", () => {
  const seen = allEvents(1)
    .flat()
    .map((event) => ({ event, delivery: read(event) }))
  expect(seen.filter(({ delivery }) => !delivery.ok)).toEqual([])
  const unread = seen.filter(({ delivery }) => delivery.ok && delivery.value.unhandled !== null)
  expect([...new Set(unread.map(({ event }) => event.type))].sort()).toEqual(UNRELATED.toSorted())
})

test("no event is sent before it happens, and no id twice", () => {
  const days = allEvents(1)
  for (const [day, events] of days.entries()) {
    const end = after(START, day * 86_400)
    expect(events.filter(({ at }) => at > end)).toEqual([])
  }
  const ids = days.flat().map(({ id }) => id)
  expect(new Set(ids).size).toBe(ids.length)
})
