/**
 * All orders of a story's events, by exploration: from each state that was reached every event that is left is delivered,
 * and a state that was reached before with the same events left is not gone on from again. That loses nothing, since what
 * the Worker does is a function of what is stored and what arrives: the clock stands still, random bytes are all alike,
 * and the whole database but for version numbers, which are only ever compared, is what two states must agree in.
 * That a repeated event changes nothing is shown in every state for every event that is in it; so orders with repetitions
 * end where the order of their first deliveries ends.
 */

import { ASKED_STORIES, SCENARIOS, type Scenario, tell } from "./actors/scenarios.ts"
import type { Random } from "./random.ts"
import { deliverNow, type RunParts, seedCompanies } from "./run.ts"
import { describeDatabase, readDatabaseState } from "./world/database-state.ts"
import { noFaults } from "./world/no-faults.ts"
import { COMPANIES } from "./world/targets.ts"
import { World } from "./world/world.ts"

/** How the events of a story are told: at times of their own, or all within one second. */
export type Timing = "apart" | "tied"

export interface OrdersReport {
  readonly name: string
  readonly timing: Timing
  readonly events: number
  /** Orders that are covered: all there are. */
  readonly orders: number
  readonly states: number
  readonly deliveries: number
  readonly repetitions: number
  /** The one state, in words, that all orders end in; the first of them where they differ. */
  readonly end: string
  readonly faults: readonly string[]
}

const MINUTE_MS = 60_000
const NOW_MS = Date.UTC(2026, 9, 27, 12)

/** Stories with more than one event; one has no order. */
export const SCENARIOS_WITH_ORDER: readonly Scenario[] = [...SCENARIOS, ...ASKED_STORIES].filter(
  ({ tellers }) => tellers.length > 1,
)

/** Explores all orders of a story. */
export async function exploreOrders(story: Scenario, timing: Timing, parts: RunParts): Promise<OrdersReport> {
  const { database } = parts
  const { world, events, deliver } = await begin(story, timing, parts)
  const faults: string[] = []
  const visited = new Set<string>()
  const ends = new Map<string, readonly number[]>()
  const counts = { deliveries: 0, repetitions: 0 }

  async function explore(order: readonly number[]): Promise<void> {
    const state = await fingerprint(parts)
    const left = events.map((_, place) => place).filter((place) => !order.includes(place))
    const node = `${left.join()} ${state}`
    if (visited.has(node)) return
    visited.add(node)
    const mark = await database.mark()
    for (const place of order) {
      await deliver(place)
      counts.repetitions += 1
    }
    if (order.length > 0) {
      if ((await fingerprint(parts)) !== state)
        faults.push(`after ${order.join(" ")}, the same again changes the state`)
      await database.backTo(mark)
    }
    if (left.length === 0) ends.set(await describeDatabase(await readDatabaseState(database)), order)
    for (const place of left) {
      await deliver(place)
      counts.deliveries += 1
      await explore([...order, place])
      await database.backTo(mark)
    }
  }

  await explore([])
  if (ends.size !== 1) {
    faults.push(`ends differently: ${[...ends.values()].map((order) => order.join(" ")).join(" | ")}`)
  }
  faults.push(...world.runtime.faults)
  const [end = ""] = ends.keys()
  const orders = events.reduce((product, _, n) => product * (n + 1), 1)
  return { name: story.name, timing, events: events.length, orders, states: visited.size, ...counts, end, faults }
}

/** Where the order in which the story is told ends, in words. */
export async function resultOfGivenOrder(story: Scenario, timing: Timing, parts: RunParts): Promise<string> {
  const { events, deliver } = await begin(story, timing, parts)
  for (const place of events.keys()) await deliver(place)
  return describeDatabase(await readDatabaseState(parts.database))
}

async function begin(story: Scenario, timing: Timing, { database, player, patches }: RunParts) {
  const [company] = COMPANIES
  await database.begin(patches)
  await seedCompanies(database, new Map())
  // What is published would come back later, and there is no later.
  const chaos = noFaults(new Set(["qstash"]))
  const world = new World({ startMs: NOW_MS, random: ALWAYS_THE_SAME, chaos, database, player, isolatesMax: 1 })

  const firstMs = NOW_MS - story.tellers.length * 10 * MINUTE_MS
  const times = story.tellers.map((_, n) => new Date(timing === "tied" ? firstMs : firstMs + n * 10 * MINUTE_MS))
  const events = tell(story, { tag: "n0x", company }, times)
  const path = `/api/webhooks/${story.provider}`
  const deliver = async (place: number): Promise<void> => {
    const told = events[place]
    if (!told) throw new Error("no such event")
    const state = { attempts: 0, isAcknowledged: false, isGivenUp: false }
    await deliverNow(world, { told, provider: story.provider, company, path, ...state })
  }
  return { world, events, deliver }
}

const WHOLE = [
  ...[
    "webhook_event_keys",
    "webhook_events",
    "facts",
    "object_links",
    "customer_keys",
    "customer_pii",
    "subscriptions",
  ],
  ...["payments", "recovery_cases", "nudges", "consents", "incentives", "company_settings"],
]

/** All that the database holds, in one number. */
async function fingerprint({ database }: RunParts): Promise<string> {
  const parts = WHOLE.map(
    (table) => `(SELECT string_agg(t::text, chr(10) ORDER BY t::text COLLATE "C") FROM ${table} t)`,
  )
  // What was sent is known by the event's id; the bytes need not be looked at.
  const events = `(SELECT string_agg((t.id, t.status, t.attempts, t.subject, t.customer_id, t.next_attempt_at, t.error)::text,
    chr(10) ORDER BY t.id) FROM webhook_events t)`
  const customers = `(SELECT string_agg((to_jsonb(t) - 'version')::text, chr(10) ORDER BY t.id) FROM customers t)`
  const { hash } = await database.glance<{ hash: string }>(
    `SELECT md5(concat_ws(chr(11), ${[...parts, events, customers].join(", ")})) AS hash`,
  )
  return hash
}

const ALWAYS_THE_SAME: Random = {
  next: () => 0.5,
  between: (min, max) => Math.floor((min + max) / 2),
  chance: () => false,
  pick: (items) => items[0],
  shuffled: (items) => [...items],
  fork: () => ALWAYS_THE_SAME,
}
