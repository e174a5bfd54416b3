/**
 * All orders of a scenario's events, by exploration: from each reached state every remaining event is delivered, and a state
 * that was reached before with the same remaining events is not explored again. This covers all orders, because the Worker is
 * a function of what is stored and what arrives: the clock stands still, random bytes are constant, and states are equal only
 * if the whole database is, except for version numbers, which are only compared. That a repeated event changes nothing is
 * checked in every state for every event in it; so orders with repetitions end like the order of the first deliveries.
 */

import { LOOKUP_SCENARIOS, SCENARIOS, type Scenario, writeEvents } from "./actors/scenarios.ts"
import type { Random } from "./random.ts"
import { deliverNow, type RunParts, seedCompanies } from "./run.ts"
import { describeDatabase, readDatabaseState } from "./world/database-state.ts"
import { noFaults } from "./world/no-faults.ts"
import { COMPANIES } from "./world/targets.ts"
import { World } from "./world/world.ts"

/** The times of a scenario's events: different, or all within one second. */
export type Timing = "apart" | "tied"

export interface OrdersReport {
  readonly name: string
  readonly timing: Timing
  readonly events: number
  /** Number of orders, all of which are covered. */
  readonly orders: number
  readonly states: number
  readonly deliveries: number
  readonly repetitions: number
  /** The final state of all orders, as text; the first of them where they differ. */
  readonly end: string
  readonly faults: readonly string[]
}

const MINUTE_MS = 60_000
const NOW_MS = Date.UTC(2026, 9, 27, 12)

/** Scenarios with more than one event. */
export const SCENARIOS_WITH_ORDER: readonly Scenario[] = [...SCENARIOS, ...LOOKUP_SCENARIOS].filter(
  ({ writers }) => writers.length > 1,
)

/** Explores all orders of a scenario. */
export async function exploreOrders(scenario: Scenario, timing: Timing, parts: RunParts): Promise<OrdersReport> {
  const { database } = parts
  const { world, events, deliver } = await begin(scenario, timing, parts)
  const faults: string[] = []
  const visited = new Set<string>()
  const finalStates = new Map<string, readonly number[]>()
  const counts = { deliveries: 0, repetitions: 0 }

  async function explore(order: readonly number[]): Promise<void> {
    const state = await fingerprint(parts)
    const remaining = events.map((_, index) => index).filter((index) => !order.includes(index))
    const node = `${remaining.join()} ${state}`
    if (visited.has(node)) return
    visited.add(node)
    const savepoint = await database.savepoint()
    for (const index of order) {
      await deliver(index)
      counts.repetitions += 1
    }
    if (order.length > 0) {
      if ((await fingerprint(parts)) !== state) faults.push(`after ${order.join(" ")}, a repetition changes the state`)
      await database.rollbackTo(savepoint)
    }
    if (remaining.length === 0) finalStates.set(await describeDatabase(await readDatabaseState(database)), order)
    for (const index of remaining) {
      await deliver(index)
      counts.deliveries += 1
      await explore([...order, index])
      await database.rollbackTo(savepoint)
    }
  }

  await explore([])
  if (finalStates.size !== 1) {
    faults.push(`finalStates differently: ${[...finalStates.values()].map((order) => order.join(" ")).join(" | ")}`)
  }
  faults.push(...world.runtime.faults)
  const [end = ""] = finalStates.keys()
  const orders = events.reduce((product, _, n) => product * (n + 1), 1)
  return { name: scenario.name, timing, events: events.length, orders, states: visited.size, ...counts, end, faults }
}

/** The final state of the scenario in its own order, as text. */
export async function resultOfGivenOrder(scenario: Scenario, timing: Timing, parts: RunParts): Promise<string> {
  const { events, deliver } = await begin(scenario, timing, parts)
  for (const index of events.keys()) await deliver(index)
  return describeDatabase(await readDatabaseState(parts.database))
}

async function begin(scenario: Scenario, timing: Timing, { database, scheduleWorker, patches }: RunParts) {
  const [company] = COMPANIES
  await database.begin(patches)
  await seedCompanies(database, new Map())
  // QStash is down, because its messages would be delivered later and the clock stands still.
  const injector = noFaults(new Set(["qstash"]))
  const world = new World({
    startMs: NOW_MS,
    random: CONSTANT_RANDOM,
    injector,
    database,
    scheduleWorker,
    isolatesMax: 1,
  })

  const firstMs = NOW_MS - scenario.writers.length * 10 * MINUTE_MS
  const times = scenario.writers.map((_, n) => new Date(timing === "tied" ? firstMs : firstMs + n * 10 * MINUTE_MS))
  const events = writeEvents(scenario, { tag: "n0x", company }, times)
  const path = `/api/webhooks/${scenario.provider}`
  const deliver = async (index: number): Promise<void> => {
    const webhook = events[index]
    if (!webhook) throw new Error("no such event")
    const state = { attempts: 0, isAcknowledged: false, isGivenUp: false }
    await deliverNow(world, { webhook, provider: scenario.provider, company, path, ...state })
  }
  return { world, events, deliver }
}

const ALL_TABLES = [
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

/** A hash of everything in the database. */
async function fingerprint({ database }: RunParts): Promise<string> {
  const parts = ALL_TABLES.map(
    (table) => `(SELECT string_agg(t::text, chr(10) ORDER BY t::text COLLATE "C") FROM ${table} t)`,
  )
  // The event's id stands for its payload.
  const events = `(SELECT string_agg((t.id, t.status, t.attempts, t.subject, t.customer_id, t.next_attempt_at, t.error)::text,
    chr(10) ORDER BY t.id) FROM webhook_events t)`
  const customers = `(SELECT string_agg((to_jsonb(t) - 'version')::text, chr(10) ORDER BY t.id) FROM customers t)`
  const { hash } = await database.readOne<{ hash: string }>(
    `SELECT md5(concat_ws(chr(11), ${[...parts, events, customers].join(", ")})) AS hash`,
  )
  return hash
}

const CONSTANT_RANDOM: Random = {
  next: () => 0.5,
  between: (min, max) => Math.floor((min + max) / 2),
  chance: () => false,
  pick: (items) => items[0],
  shuffled: (items) => [...items],
  fork: () => CONSTANT_RANDOM,
}
