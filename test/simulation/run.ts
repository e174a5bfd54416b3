/** One schedule: what a seed makes of it, played to its end, healed, and judged. */
import { createHash } from "node:crypto"
import { Heartbeat } from "./actors/heartbeat.ts"
import { Members } from "./actors/members.ts"
import { API_KEYS, Operator } from "./actors/operator.ts"
import { type Delivery, sendEvent } from "./actors/senders.ts"
import { WHOP_ACCOUNT } from "./actors/whop-events.ts"
import { checkInvariants } from "./invariants.ts"
import { type Plan, planOf, type Reduction, reduced } from "./plan.ts"
import { randomOf } from "./random.ts"
import type { Database } from "./world/database.ts"
import { describeDatabase, readDatabaseState } from "./world/database-state.ts"
import { type EventKind, type Fault, SeededChaos } from "./world/faults.ts"
import { noFaults } from "./world/no-faults.ts"
import { NO_SKEW } from "./world/runtime.ts"
import type { ScheduleWorker } from "./world/schedule-worker.ts"
import { DEFAULT_SWITCHES, setSwitchEverywhere } from "./world/switches.ts"
import { COMPANIES } from "./world/targets.ts"
import { World } from "./world/world.ts"

const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

/** After the faults have healed the world goes on for so long. */
const AFTER_HEALING_MS = 4 * DAY_MS
/** More steps than this is a world that does not come to rest. */
const STEPS_MAX = 60_000

export interface RunParts {
  readonly database: Database
  readonly player: ScheduleWorker
  /** Who plays the run without faults to compare with; the same unless given. */
  readonly reference?: ScheduleWorker
  /** Changes of the schema for this run. */
  readonly patches?: readonly string[]
  readonly calmer?: Reduction
  /** Which of the drawn faults are let happen; all unless given. */
  readonly isLet?: (fault: string) => boolean
}

/** How a run went. */
export interface Run {
  readonly seed: number
  readonly violations: readonly string[]
  /** The same for every run of a seed. */
  readonly hash: string
  readonly trace: readonly string[]
  readonly faults: readonly Fault[]
  readonly kinds: Readonly<Record<string, number>>
  /** How many customers it has. */
  readonly customers: number
  readonly figures: {
    readonly events: number
    readonly acknowledged: number
    readonly effects: number
    readonly messages: number
    readonly crashes: number
    /** Dead events that somebody replayed, and nudges of which nobody knows whether they were seen. */
    readonly leftToPeople: number
    readonly simulatedMs: number
  }
}

/** Plays the schedule of a seed. */
export async function runSchedule(seed: number, parts: RunParts): Promise<Run> {
  const random = randomOf(`seed ${seed}`)
  const { database, player, patches, isLet, calmer = {} } = parts
  const plan = reduced(planOf(random.fork("plan")), calmer)
  await database.begin(patches)
  await seedCompanies(database, plan.settings)

  let world: World | null = null
  const chaos = new SeededChaos(random.fork("chaos"), plan.weather, () => world?.runtime.worldMs ?? 0, isLet)
  const made = new World({ startMs: plan.startMs, random: random.fork("world"), chaos, database, player })
  world = made
  const { runtime } = made
  for (const { id, customer } of plan.subscriptions) seedSubscription(made, id, customer)

  let isHealed = false
  const heartbeat = new Heartbeat(made, random.fork("heartbeat"), () =>
    isHealed ? { missRate: 0, doubleRate: 0 } : { missRate: plan.missRate, doubleRate: plan.doubleRate },
  )
  for (const delivery of plan.deliveries) {
    runtime.agenda.put(delivery.atMs, "event", () => void sendEvent(made, delivery))
  }
  for (const atMs of plan.restarts) {
    runtime.agenda.put(atMs, "restart", () => {
      made.note("a new deployment")
      runtime.isolates.length = 0
    })
  }
  for (const { name, fromMs, untilMs } of plan.switches) {
    runtime.agenda.put(fromMs, "switch", () => setSwitchEverywhere(made, name, !DEFAULT_SWITCHES[name]))
    runtime.agenda.put(untilMs, "switch", () => setSwitchEverywhere(made, name, DEFAULT_SWITCHES[name]))
  }
  runtime.agenda.put(plan.healMs, "healed", () => {
    isHealed = true
    chaos.heal()
    for (const isolate of runtime.isolates) isolate.skew = NO_SKEW
    made.note("all is well again")
    heartbeat.lookAgain()
  })
  for (const { untilMs } of plan.weather.outages)
    runtime.agenda.put(untilMs, "outage ends", () => heartbeat.lookAgain())
  const members = new Members(made, random.fork("members"), plan)
  const operator = new Operator(made)
  runtime.agenda.put(plan.healMs + DAY_MS, "operator", () => operator.replayDead())
  const endMs = plan.healMs + AFTER_HEALING_MS
  const isAtRest = await runAgenda(made, endMs, async () => {
    members.look()
    await heartbeat.plan()
  })

  const seen = await readDatabaseState(database)
  const unlisted = await operator.unlisted(seen)
  const reached = await describeDatabase(seen)
  const ids = new Set(seen.keys.map(({ company_id, provider_event_id }) => `${company_id} ${provider_event_id}`))
  const known = plan.deliveries.filter(({ company, told }) => ids.has(`${company} ${told.id}`))
  const expected = await withoutFaults(known, plan.settings, endMs, parts)
  const violations = checkInvariants({
    world: made,
    seen,
    deliveries: plan.deliveries,
    settings: plan.settings,
    silences: plan.switches.filter(({ name }) => name !== "WEBHOOK_PROCESSING_ENABLED" && name !== "SCHEDULER_ENABLED"),
    expected,
    reached,
  })
  if (!isAtRest) violations.push(`I9 the world does not come to rest within ${STEPS_MAX} steps`)
  violations.push(...members.broken, ...unlisted)

  const counts: Record<string, number> = {}
  for (const { kind } of chaos.faults) counts[kind] = (counts[kind] ?? 0) + 1
  const events: Readonly<Record<EventKind, number>> = {
    outage: plan.weather.outages.length,
    cron_missed: heartbeat.missed,
    cron_double: heartbeat.doubled,
    evicted: made.trace.filter((line) => line.endsWith("is evicted")).length,
    restart: plan.restarts.length,
    switch_thrown: plan.switches.length,
  }
  return {
    seed,
    violations,
    hash: createHash("sha256").update(made.trace.join("\n")).update(reached).digest("hex").slice(0, 16),
    trace: made.trace,
    faults: chaos.faults,
    kinds: { ...counts, ...events },
    customers: plan.customers,
    figures: {
      events: plan.deliveries.length,
      acknowledged: plan.deliveries.filter(({ isAcknowledged }) => isAcknowledged).length,
      effects: made.applied,
      messages: made.mailbox.messages.length,
      crashes: runtime.crashes,
      leftToPeople: operator.replayed + seen.nudges.filter(({ status }) => status === "unknown").length,
      simulatedMs: runtime.worldMs - plan.startMs,
    },
  }
}

/** Plays what is on the agenda until `endMs`; `atRest` is asked for more whenever nothing is under way. */
export async function runAgenda(world: World, endMs: number, atRest: () => Promise<void>): Promise<boolean> {
  const { runtime } = world
  for (let steps = 0; steps < STEPS_MAX; steps++) {
    const { nextAtMs } = runtime.agenda
    if (runtime.live.size === 0 && (nextAtMs === null || nextAtMs > runtime.worldMs)) await atRest()
    if (!(await runtime.step(endMs))) return true
  }
  return false
}

/** The same events to a Worker to which nothing happens, in words. */
async function withoutFaults(
  deliveries: readonly Delivery[],
  settings: Plan["settings"],
  startMs: number,
  { database, player, reference, patches }: RunParts,
): Promise<string> {
  await database.begin(reference ? [] : patches)
  await seedCompanies(database, settings)
  const random = randomOf("without faults")
  const chaos = noFaults()
  const options = { startMs, random, chaos, database, player: reference ?? player }
  const world = new World({ ...options, isolatesMax: 1, isSteady: true })
  for (const delivery of deliveries) {
    await deliverNow(world, { ...delivery, attempts: 0, isAcknowledged: false, isGivenUp: false })
  }
  return describeDatabase(await readDatabaseState(database))
}

/** Delivers one event at this moment and lets the Worker finish with it. Throws when it is not acknowledged. */
export async function deliverNow(world: World, delivery: Delivery): Promise<void> {
  void sendEvent(world, delivery)
  while (await world.runtime.step(world.runtime.worldMs));
  if (!delivery.isAcknowledged) throw new Error(`${delivery.told.type} was not taken by a Worker without faults`)
}

/** Companies, their provider accounts and their settings. */
export async function seedCompanies(database: Database, settings: Plan["settings"]): Promise<void> {
  const [north] = COMPANIES
  const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`
  const rows = [...settings].map(
    ([company, value]) => `(${quoted(company)}, ${quoted(JSON.stringify(value))}, '2026-10-01')`,
  )
  await database.glance(`
    WITH made AS (INSERT INTO companies (id, name) VALUES ${COMPANIES.map((id) => `('${id}', 'Simulated')`).join(", ")}
      RETURNING id)
    SELECT count(*) FROM made;
    INSERT INTO api_keys (company_id, id, name, role, hash, created_at) VALUES ${COMPANIES.map(
      (id) => `('${id}', 'key', 'simulated', 'admin', sha256('${API_KEYS[id]}'), '2026-10-01')`,
    ).join(", ")};
    INSERT INTO company_accounts (company_id, provider, account_id) VALUES ('${north}', 'whop', '${WHOP_ACCOUNT}');
    ${rows.length === 0 ? "" : `INSERT INTO company_settings (company_id, settings, updated_at) VALUES ${rows.join(", ")}`}`)
}

/** A subscription as Stripe's API shows it, so that incentives can be put on it. */
export function seedSubscription({ stripe }: World, id: string, customer: string): void {
  stripe.objects.put("subscriptions", {
    id,
    object: "subscription",
    customer,
    status: "active",
    discounts: [],
    metadata: {},
    items: { object: "list", data: [{ id: `si_${id}`, current_period_end: Date.UTC(2027, 0, 1) / SECOND_MS }] },
  })
}
