/** One schedule: what a seed makes of it, played to its end, healed, and judged. */
import { createHash } from "node:crypto"
import { SWITCH_NAMES, type SwitchName } from "../../shared/domain/flags.ts"
import type { CompanySettings, PlaybookStep } from "../../shared/domain/settings.ts"
import { type EventKind, FAULT_KINDS, type Fault, frozen, type Outage, SeededChaos, type Weather } from "./chaos.ts"
import type { Database } from "./database.ts"
import { Heartbeat } from "./heartbeat.ts"
import { judge } from "./judge.ts"
import { API_KEYS, Operator } from "./operator.ts"
import type { Player } from "./player.ts"
import { type Random, randomOf } from "./random.ts"
import { NO_SKEW } from "./runtime.ts"
import { type Delivery, sendEvent } from "./senders.ts"
import { inWords, look } from "./sight.ts"
import { customerOf, STORIES, type Story, tell, type Who } from "./stories.ts"
import { throwSwitch, USUAL } from "./switches.ts"
import { APP_URL, COMPANIES } from "./targets.ts"
import { WHOP_ACCOUNT } from "./whop-events.ts"
import { World } from "./world.ts"

const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

/** Runs begin around the days on which clocks change in Europe and America. */
const FIRST_DAY_MS = Date.UTC(2026, 9, 19)
const STORY_DAYS = 6
/** After the faults have healed the world goes on for so long. */
const AFTER_HEALING_MS = 4 * DAY_MS
/** More steps than this is a world that does not come to rest. */
const STEPS_MAX = 60_000

export interface RunParts {
  readonly database: Database
  readonly player: Player
  /** Who plays the run without faults to compare with; the same unless given. */
  readonly reference?: Player
  /** Changes of the schema for this run. */
  readonly patches?: readonly string[]
  readonly calmer?: Calmer
  /** Which of the drawn faults are let happen; all unless given. */
  readonly isLet?: (fault: string) => boolean
}

/** What of a plan is left out, to see whether it matters. */
export interface Calmer {
  readonly hasNoOutages?: boolean
  readonly hasNoSwitches?: boolean
  readonly hasNoStorms?: boolean
  /** Only the customer of that number lives. */
  readonly onlyCustomer?: number
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

interface Plan {
  readonly startMs: number
  readonly healMs: number
  readonly settings: ReadonlyMap<string, Partial<CompanySettings>>
  readonly deliveries: readonly (Delivery & { readonly atMs: number; readonly customer: number })[]
  readonly customers: number
  readonly subscriptions: readonly { readonly id: string; readonly customer: string }[]
  readonly weather: Weather
  readonly missRate: number
  readonly doubleRate: number
  readonly restarts: readonly number[]
  readonly switches: readonly {
    readonly name: SwitchName
    readonly fromMs: number
    readonly untilMs: number
  }[]
  readonly optOutRate: number
  readonly clickRate: number
}

/** Plays the schedule of a seed. */
export async function play(seed: number, parts: RunParts): Promise<Run> {
  const random = randomOf(`seed ${seed}`)
  const { database, player, patches, isLet, calmer = {} } = parts
  const plan = calmed(planOf(random.fork("plan")), calmer)
  await database.begin(patches)
  await furnish(database, plan.settings)

  let world: World | null = null
  const chaos = new SeededChaos(random.fork("chaos"), plan.weather, () => world?.runtime.worldMs ?? 0, isLet)
  const made = new World({ startMs: plan.startMs, random: random.fork("world"), chaos, database, player })
  world = made
  const { runtime } = made
  for (const { id, customer } of plan.subscriptions) plant(made, id, customer)

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
    runtime.agenda.put(fromMs, "switch", () => throwSwitch(made, name, !USUAL[name]))
    runtime.agenda.put(untilMs, "switch", () => throwSwitch(made, name, USUAL[name]))
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
  const isAtRest = await drive(made, endMs, async () => {
    members.look()
    await heartbeat.plan()
  })

  const seen = await look(database)
  const unlisted = await operator.unlisted(seen)
  const reached = await inWords(seen)
  const ids = new Set(seen.keys.map(({ company_id, provider_event_id }) => `${company_id} ${provider_event_id}`))
  const known = plan.deliveries.filter(({ company, told }) => ids.has(`${company} ${told.id}`))
  const expected = await withoutFaults(known, plan.settings, endMs, parts)
  const violations = judge({
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

function calmed(plan: Plan, { hasNoOutages, hasNoSwitches, hasNoStorms, onlyCustomer }: Calmer): Plan {
  const { deliveries, switches, weather } = plan
  return {
    ...plan,
    switches: hasNoSwitches ? [] : switches,
    deliveries: deliveries.filter(({ customer }) => onlyCustomer === undefined || customer === onlyCustomer),
    weather: {
      ...weather,
      outages: hasNoOutages ? [] : weather.outages,
      storms: hasNoStorms ? [] : weather.storms,
    },
  }
}

/** Plays what is on the agenda until `endMs`; `atRest` is asked for more whenever nothing is under way. */
export async function drive(world: World, endMs: number, atRest: () => Promise<void>): Promise<boolean> {
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
  await furnish(database, settings)
  const random = randomOf("without faults")
  const chaos = frozen()
  const options = { startMs, random, chaos, database, player: reference ?? player }
  const world = new World({ ...options, isolatesMax: 1, isSteady: true })
  for (const delivery of deliveries) {
    await tellNow(world, { ...delivery, attempts: 0, isAcknowledged: false, isGivenUp: false })
  }
  return inWords(await look(database))
}

/** Delivers one event at this moment and lets the Worker finish with it. Throws when it is not acknowledged. */
export async function tellNow(world: World, delivery: Delivery): Promise<void> {
  void sendEvent(world, delivery)
  while (await world.runtime.step(world.runtime.worldMs));
  if (!delivery.isAcknowledged) throw new Error(`${delivery.told.type} was not taken by a Worker without faults`)
}

/** Companies, their provider accounts and their settings. */
export async function furnish(database: Database, settings: Plan["settings"]): Promise<void> {
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
export function plant({ stripe }: World, id: string, customer: string): void {
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

/** What members do with the messages that reach them. */
class Members {
  readonly broken: string[] = []
  readonly #world: World
  readonly #random: Random
  readonly #plan: Plan
  #seen = 0

  constructor(world: World, random: Random, plan: Plan) {
    this.#world = world
    this.#random = random
    this.#plan = plan
  }

  look(): void {
    const { messages } = this.#world.mailbox
    for (; this.#seen < messages.length; this.#seen++) {
      const message = messages[this.#seen]
      const random = this.#random.fork(message?.idempotencyKey ?? "")
      const isClicked = random.chance(this.#plan.clickRate)
      const isUnwanted = random.chance(this.#plan.optOutRate)
      const afterMs = random.between(1, 300) * MINUTE_MS
      const [link] = /https?:\/\/\S+\/r\/[\w-]+/.exec(message?.body ?? "") ?? []
      const [, unsubscribe] = /<(.+)>/.exec(message?.headers?.["List-Unsubscribe"] ?? "") ?? []
      if (isClicked && link) this.#later(afterMs, () => this.#ask("GET", link, 1))
      if (isUnwanted && unsubscribe) this.#later(afterMs + MINUTE_MS, () => this.#ask("POST", unsubscribe, 4))
    }
  }

  #later(afterMs: number, act: () => Promise<void>): void {
    const { agenda, worldMs } = this.#world.runtime
    agenda.put(worldMs + afterMs, "member", () => void act())
  }

  /** A wish that was not taken is said again an hour later; a click that failed is forgotten. */
  async #ask(method: "GET" | "POST", url: string, tries: number): Promise<void> {
    const path = url.slice(APP_URL.length).split("/")[1] ?? ""
    const answer = await this.#world.send({
      name: `member ${method} /${path}`,
      method,
      url,
      headers: method === "POST" ? { "content-type": "application/x-www-form-urlencoded" } : {},
      body: method === "POST" ? "List-Unsubscribe=One-Click" : null,
      timeoutMs: 30 * SECOND_MS,
    })
    if (answer?.status === 500) this.broken.push(`I0 a member was answered 500 to ${path}`)
    const isTaken = answer !== null && answer.status < 400
    if (!isTaken && tries > 1) this.#later(HOUR_MS, () => this.#ask(method, url, tries - 1))
  }
}

const ZONES = [null, "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"] as const

function planOf(random: Random): Plan {
  const startMs = FIRST_DAY_MS + random.between(0, 20 * 24 * 60) * MINUTE_MS
  const healMs = startMs + STORY_DAYS * DAY_MS
  const settings = settingsOf(random.fork("settings"))
  const deliveries: (Delivery & { atMs: number; customer: number })[] = []
  const subscriptions: { id: string; customer: string }[] = []
  const customers = random.pick([1, 1, 1, 1, 2, 3])
  for (let place = 0; place < customers; place++) {
    const { told, subscription } = lifeOf(random.fork(`life ${place}`), place, startMs)
    deliveries.push(...told)
    if (subscription) subscriptions.push(subscription)
  }
  return {
    startMs,
    healMs,
    settings,
    deliveries,
    customers,
    subscriptions,
    weather: weatherOf(random.fork("weather"), startMs, deliveries),
    missRate: random.pick([0, 0.1, 0.5]),
    doubleRate: random.pick([0, 0.1, 0.4]),
    restarts: random.chance(0.3) ? [startMs + random.between(0, STORY_DAYS * 24 * 60) * MINUTE_MS] : [],
    switches: switchesOf(random.fork("switches"), startMs),
    optOutRate: random.pick([0, 0, 0.3]),
    clickRate: random.pick([0, 0.3]),
  }
}

function lifeOf(random: Random, place: number, startMs: number) {
  const story = random.pick(STORIES)
  // Whop's events name their account, which is the first company's.
  const company = story.provider === "stripe" && random.chance(0.3) ? COMPANIES[1] : COMPANIES[0]
  const who: Who = { tag: `${company.slice(4, 5)}${place}x`, company }
  const times = timesOf(random, story.tellers.length, startMs)
  const path =
    company === COMPANIES[1] ? `/api/webhooks/${story.provider}/${company}` : `/api/webhooks/${story.provider}`
  const first = random.between(0, 3)
  const told = [...firstWords(random, story, who, startMs), ...tell(story, who, times)].map((event, n, all) => {
    const isFirst = n < all.length - times.length
    const at = isFirst ? startMs : (times[n - (all.length - times.length)]?.getTime() ?? startMs)
    const late = random.chance(0.2) ? random.between(1, 600) * MINUTE_MS : random.between(0, 3_000)
    return {
      told: event,
      provider: story.provider,
      company,
      path,
      attempts: 0,
      isAcknowledged: false,
      isGivenUp: false,
      atMs: at + (isFirst ? first : late),
      customer: place,
    }
  })
  const subscription = story.provider === "stripe" ? { id: `sub_${who.tag}`, customer: customerOf(story, who) } : null
  return { told, subscription }
}

/** Some members are known before their story begins, with a zone and a telephone. */
function firstWords(random: Random, story: Story, who: Who, startMs: number): ReturnType<typeof tell> {
  const zone = random.pick(ZONES)
  const phone = random.chance(0.3) ? "+4915112345678" : null
  if (story.provider !== "stripe" || !random.chance(0.6)) return []
  const object = {
    id: customerOf(story, who),
    object: "customer",
    name: "Ann Example",
    email: `${customerOf(story, who)}@example.com`,
    phone,
    preferred_locales: [],
    metadata: zone === null ? {} : { time_zone: zone },
  }
  const event = {
    id: `evt_${who.tag}_first`,
    object: "event",
    api_version: "2026-10-28.endive",
    created: Math.floor(startMs / SECOND_MS),
    livemode: false,
    type: "customer.created",
    data: { object },
  }
  return [{ id: event.id, type: event.type, body: JSON.stringify(event) }]
}

/** A story takes seconds or days; its events share a second now and then, as Stripe's do. */
function timesOf(random: Random, count: number, startMs: number): Date[] {
  const gapMs = random.pick([1, 10 * SECOND_MS, HOUR_MS, 12 * HOUR_MS, DAY_MS])
  let at = startMs + random.between(0, 24 * 60) * MINUTE_MS
  const endMs = startMs + (STORY_DAYS - 1) * DAY_MS
  return Array.from({ length: count }, () => {
    const now = at
    if (!random.chance(0.15)) at = Math.min(endMs, at + random.between(0, 2 * gapMs))
    return new Date(now)
  })
}

function settingsOf(random: Random): Map<string, Partial<CompanySettings>> {
  const settings = new Map<string, Partial<CompanySettings>>()
  for (const company of COMPANIES) {
    const isSet = random.chance(0.5)
    const incentive = random.pick([
      null,
      null,
      { kind: "discount", percentOff: 20, months: 2 },
      { kind: "free_days", days: 7 },
    ] as const)
    const alertTeam = random.chance(0.2)
    const timeZone = random.pick(["UTC", "Europe/Berlin", "America/Los_Angeles"])
    const channelOrder = random.pick<CompanySettings["channelOrder"]>([
      ["email", "push", "dm", "sms"],
      ["sms", "email", "push", "dm"],
      ["dm", "push", "email"],
    ])
    if (!isSet) continue
    const steps: PlaybookStep[] = [0, 2, 4].map((day) => ({
      day,
      channel: null,
      incentive: day === 0 ? incentive : null,
    }))
    settings.set(company, {
      timeZone,
      alertTeam,
      channelOrder,
      playbooks: { payment: steps, cancellation: steps, at_risk: steps },
    })
  }
  return settings
}

/** Postgres twice, as most depends on it. */
const TARGETS: readonly [Outage["target"], ...Outage["target"][]] = [
  ...(["postgres", "postgres", "redis", "qstash", "email"] as const),
  ...(["sms", "push", "dm", "stripe-api", "whop-api"] as const),
]

function weatherOf(random: Random, startMs: number, deliveries: readonly { readonly atMs: number }[]): Weather {
  // Trouble that nobody meets is none: most of it begins shortly before something happens.
  const moment = (beforeMs: number): number => {
    const delivery = deliveries[random.between(0, deliveries.length - 1)]
    const anyTime = startMs + random.between(0, STORY_DAYS * 24 * 60) * MINUTE_MS
    const near = (delivery?.atMs ?? anyTime) - random.between(0, beforeMs)
    return random.chance(0.8) ? near : anyTime
  }
  const outages = Array.from({ length: random.pick([0, 0, 1, 1, 2, 3]) }, (): Outage => {
    const lengthMs = random.pick([2 * MINUTE_MS, 20 * MINUTE_MS, 2 * HOUR_MS, 8 * HOUR_MS])
    const fromMs = moment(lengthMs)
    const target = random.pick<Outage["target"]>(TARGETS)
    return { target, fromMs, untilMs: fromMs + lengthMs, mode: random.pick(["down", "error", "hang"]) }
  })
  const storms = Array.from({ length: random.pick([0, 1, 2]) }, () => {
    const lengthMs = random.pick([MINUTE_MS, 10 * MINUTE_MS, HOUR_MS])
    const fromMs = moment(lengthMs)
    return { fromMs, untilMs: fromMs + lengthMs, effectRate: random.pick([0.2, 0.4]) }
  })
  return {
    effectRate: random.pick([0, 0.02, 0.05, 0.1]),
    storms,
    inboundRate: random.pick([0, 0.1, 0.3, 0.5]),
    skewRate: random.pick([0, 0.2]),
    cutOffAfterMs: random.pick([30_000, 30_000, 2_000, 20]),
    kinds: new Map(FAULT_KINDS.map((kind) => [kind, random.pick([0, 1, 1, 3])])),
    outages,
  }
}

function switchesOf(random: Random, startMs: number): Plan["switches"] {
  if (!random.chance(0.25)) return []
  const name = random.pick(SWITCH_NAMES)
  const fromMs = startMs + random.between(0, 4 * 24 * 60) * MINUTE_MS
  const untilMs = fromMs + random.between(1, 24) * HOUR_MS
  return [{ name, fromMs, untilMs }]
}
