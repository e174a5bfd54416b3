/** Runs the schedule of one seed to its end, without faults at last, and checks the invariants. */
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
import { type EventKind, type Fault, SeededFaultInjector } from "./world/faults.ts"
import { noFaults } from "./world/no-faults.ts"
import { NO_SKEW } from "./world/runtime.ts"
import type { ScheduleWorker } from "./world/schedule-worker.ts"
import { DEFAULT_SWITCHES, setSwitchEverywhere } from "./world/switches.ts"
import { COMPANIES } from "./world/targets.ts"
import { type Query, World } from "./world/world.ts"

const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

/** How long a run continues after its faults have ended. */
const AFTER_FAULTS_MS = 4 * DAY_MS
/** A job without work makes a dozen calls and changes nothing. */
const IDLE_RATE = 0.2
/** With more steps a run counts as not ending. */
const STEPS_MAX = 60_000

export interface RunParts {
  readonly database: Database
  readonly scheduleWorker: ScheduleWorker
  /** The worker of the run without faults to compare with; default: the same. */
  readonly reference?: ScheduleWorker
  /** Statements that change the schema for this run. */
  readonly patches?: readonly string[]
  readonly reduction?: Reduction
  /** Which faults of the seed happen; default: all. */
  readonly isFaultEnabled?: (fault: string) => boolean
}

/** The result of a run. */
export interface Run {
  readonly seed: number
  readonly violations: readonly string[]
  /** The same for every run of a seed. */
  readonly hash: string
  readonly trace: readonly string[]
  readonly faults: readonly Fault[]
  readonly kinds: Readonly<Record<string, number>>
  /** Number of customers. */
  readonly customers: number
  readonly figures: {
    readonly events: number
    readonly acknowledged: number
    readonly effects: number
    readonly messages: number
    readonly crashes: number
    /** Calls that recorded or committed for several requests. */
    readonly groups: number
    /** Dead events that were replayed, and nudges with an unknown outcome. */
    readonly manualWork: number
    readonly simulatedMs: number
  }
}

/** Runs the schedule of a seed. */
export async function runSchedule(seed: number, parts: RunParts): Promise<Run> {
  const random = randomOf(`seed ${seed}`)
  const { database, scheduleWorker, patches, isFaultEnabled, reduction = {} } = parts
  const plan = reduced(planOf(random.fork("plan")), reduction)
  await database.begin(patches)
  await seedCompanies(database, plan.settings)

  let world: World | null = null
  const injector = new SeededFaultInjector(
    random.fork("chaos"),
    plan.faultProfile,
    () => world?.runtime.worldMs ?? 0,
    isFaultEnabled,
  )
  const started = new World({ startMs: plan.startMs, random: random.fork("world"), injector, database, scheduleWorker })
  world = started
  const { runtime } = started
  for (const { id, customer } of plan.subscriptions) seedSubscription(started, id, customer)

  let haveFaultsEnded = false
  const heartbeat = new Heartbeat(started, random.fork("heartbeat"), () =>
    haveFaultsEnded
      ? { missRate: 0, doubleRate: 0, idleRate: IDLE_RATE }
      : { missRate: plan.missRate, doubleRate: plan.doubleRate, idleRate: IDLE_RATE },
  )
  for (const delivery of plan.deliveries) {
    runtime.agenda.put(delivery.atMs, "event", () => void sendEvent(started, delivery))
  }
  for (const atMs of plan.restarts) {
    runtime.agenda.put(atMs, "restart", () => {
      started.note("a new deployment")
      runtime.isolates.length = 0
    })
  }
  for (const { name, fromMs, untilMs } of plan.switches) {
    runtime.agenda.put(fromMs, "switch", () => setSwitchEverywhere(started, name, !DEFAULT_SWITCHES[name]))
    runtime.agenda.put(untilMs, "switch", () => setSwitchEverywhere(started, name, DEFAULT_SWITCHES[name]))
  }
  runtime.agenda.put(plan.faultsEndMs, "faults end", () => {
    haveFaultsEnded = true
    injector.endFaults()
    for (const isolate of runtime.isolates) isolate.skew = NO_SKEW
    started.note("all faults end")
    heartbeat.planAgain()
  })
  for (const { untilMs } of plan.faultProfile.outages)
    runtime.agenda.put(untilMs, "outage ends", () => heartbeat.planAgain())
  const members = new Members(started, random.fork("members"), plan)
  const operator = new Operator(started)
  runtime.agenda.put(plan.faultsEndMs + DAY_MS, "operator", () => operator.replayDead())
  const endMs = plan.faultsEndMs + AFTER_FAULTS_MS
  const isAtRest = await runAgenda(started, endMs, async () => {
    members.react()
    await heartbeat.plan()
  })

  const seen = await readDatabaseState(database)
  const unlisted = await operator.unlisted(seen)
  const reached = await describeDatabase(seen)
  const ids = new Set(seen.keys.map(({ company_id, provider_event_id }) => `${company_id} ${provider_event_id}`))
  const known = plan.deliveries.filter(({ company, webhook }) => ids.has(`${company} ${webhook.id}`))
  const expected = await withoutFaults(known, plan.settings, endMs, parts)
  const violations = checkInvariants({
    world: started,
    seen,
    deliveries: plan.deliveries,
    settings: plan.settings,
    mutedPeriods: plan.switches.filter(
      ({ name }) => name !== "WEBHOOK_PROCESSING_ENABLED" && name !== "SCHEDULER_ENABLED",
    ),
    expected,
    reached,
  })
  if (!isAtRest) violations.push(`I9 work does not end within ${STEPS_MAX} steps`)
  violations.push(...members.broken, ...unlisted)

  const counts: Record<string, number> = {}
  for (const { kind } of injector.faults) counts[kind] = (counts[kind] ?? 0) + 1
  const events: Readonly<Record<EventKind, number>> = {
    outage: plan.faultProfile.outages.length,
    cron_missed: heartbeat.missed,
    cron_double: heartbeat.doubled,
    evicted: started.trace.filter((line) => line.endsWith("is evicted")).length,
    restart: plan.restarts.length,
    switch_thrown: plan.switches.length,
  }
  return {
    seed,
    violations,
    hash: createHash("sha256").update(started.trace.join("\n")).update(reached).digest("hex").slice(0, 16),
    trace: started.trace,
    faults: injector.faults,
    kinds: { ...counts, ...events },
    customers: plan.customers,
    figures: {
      events: plan.deliveries.length,
      acknowledged: plan.deliveries.filter(({ isAcknowledged }) => isAcknowledged).length,
      effects: started.applied,
      messages: started.mailbox.messages.length,
      crashes: runtime.crashes,
      groups: started.queries.flatMap(({ queries }) => queries).filter(isForSeveral).length,
      manualWork: operator.replayed + seen.nudges.filter(({ status }) => status === "unknown").length,
      simulatedMs: runtime.worldMs - plan.startMs,
    },
  }
}

/** Whether a statement records several events or commits several customers, of which it has an array. */
const isForSeveral = ({ query, params }: Query["queries"][number]): boolean =>
  /\b(record_deliveries|commit_streams)\(/.test(query) && String(params[2]).includes(",")

/** Runs the agenda until `endMs`; `atRest` is called whenever no task is running. */
export async function runAgenda(world: World, endMs: number, atRest: () => Promise<void>): Promise<boolean> {
  const { runtime } = world
  for (let steps = 0; steps < STEPS_MAX; steps++) {
    const { nextAtMs } = runtime.agenda
    if (runtime.live.size === 0 && (nextAtMs === null || nextAtMs > runtime.worldMs)) await atRest()
    if (!(await runtime.step(endMs))) return true
  }
  return false
}

/** The final state of a run without faults with the same events, as text. */
async function withoutFaults(
  deliveries: readonly Delivery[],
  settings: Plan["settings"],
  startMs: number,
  { database, scheduleWorker, reference, patches }: RunParts,
): Promise<string> {
  await database.begin(reference ? [] : patches)
  await seedCompanies(database, settings)
  const random = randomOf("without faults")
  const injector = noFaults()
  const options = { startMs, random, injector, database, scheduleWorker: reference ?? scheduleWorker }
  const world = new World({ ...options, isolatesMax: 1, isSteady: true })
  for (const delivery of deliveries) {
    await deliverNow(world, { ...delivery, attempts: 0, isAcknowledged: false, isGivenUp: false })
  }
  return describeDatabase(await readDatabaseState(database))
}

/** Delivers one event now and lets the Worker finish. Throws if it is not acknowledged. */
export async function deliverNow(world: World, delivery: Delivery): Promise<void> {
  void sendEvent(world, delivery)
  while (await world.runtime.step(world.runtime.worldMs));
  if (!delivery.isAcknowledged)
    throw new Error(`${delivery.webhook.type} was not acknowledged by a Worker without faults`)
}

/** Companies, their provider accounts and their settings. */
export async function seedCompanies(database: Database, settings: Plan["settings"]): Promise<void> {
  const [north] = COMPANIES
  const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`
  const rows = [...settings].map(
    ([company, value]) => `(${quoted(company)}, ${quoted(JSON.stringify(value))}, '2026-10-01')`,
  )
  await database.execute(`
    INSERT INTO companies (id, name) VALUES ${COMPANIES.map((id) => `('${id}', 'Simulated')`).join(", ")};
    INSERT INTO api_keys (company_id, id, name, role, hash, created_at) VALUES ${COMPANIES.map(
      (id) => `('${id}', 'key', 'simulated', 'admin', sha256('${API_KEYS[id]}'), '2026-10-01')`,
    ).join(", ")};
    INSERT INTO company_accounts (company_id, provider, account_id) VALUES ('${north}', 'whop', '${WHOP_ACCOUNT}');
    ${rows.length === 0 ? "" : `INSERT INTO company_settings (company_id, settings, updated_at) VALUES ${rows.join(", ")}`}`)
}

/** Creates a subscription at Stripe, so that incentives can be applied to it. */
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
