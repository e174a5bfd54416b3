/** The plan of a schedule: its customers, their events, and the faults. A function of the seed. */
import { SWITCH_NAMES, type SwitchName } from "../../shared/domain/flags.ts"
import type { CompanySettings, PlaybookStep } from "../../shared/domain/settings.ts"
import type { ScenarioCustomer } from "./actors/event-writers.ts"
import { customerOf, SCENARIOS, type Scenario, writeEvents } from "./actors/scenarios.ts"
import type { Delivery } from "./actors/senders.ts"
import type { Random } from "./random.ts"
import { FAULT_KINDS, type FaultProfile, type Outage } from "./world/faults.ts"
import { COMPANIES } from "./world/targets.ts"

const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

/** Runs begin around the days on which clocks change in Europe and America. */
const FIRST_DAY_MS = Date.UTC(2026, 9, 19)
const SCENARIO_DAYS = 6

/** One schedule. */
export interface Plan {
  readonly startMs: number
  readonly faultsEndMs: number
  readonly settings: ReadonlyMap<string, Partial<CompanySettings>>
  readonly deliveries: readonly (Delivery & { readonly atMs: number; readonly customer: number })[]
  readonly customers: number
  readonly subscriptions: readonly { readonly id: string; readonly customer: string }[]
  readonly faultProfile: FaultProfile
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

/** Parts of a plan to leave out, to see whether they matter. */
export interface Reduction {
  readonly hasNoOutages?: boolean
  readonly hasNoSwitches?: boolean
  readonly hasNoUnreliablePeriods?: boolean
  /** Only the customer of that number takes part. */
  readonly onlyCustomer?: number
}

/** The plan without these parts. */
export function reduced(
  plan: Plan,
  { hasNoOutages, hasNoSwitches, hasNoUnreliablePeriods, onlyCustomer }: Reduction,
): Plan {
  const { deliveries, switches, faultProfile } = plan
  return {
    ...plan,
    switches: hasNoSwitches ? [] : switches,
    deliveries: deliveries.filter(({ customer }) => onlyCustomer === undefined || customer === onlyCustomer),
    faultProfile: {
      ...faultProfile,
      outages: hasNoOutages ? [] : faultProfile.outages,
      unreliablePeriods: hasNoUnreliablePeriods ? [] : faultProfile.unreliablePeriods,
    },
  }
}

const ZONES = [null, "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"] as const

/** A random plan. */
export function planOf(random: Random): Plan {
  const startMs = FIRST_DAY_MS + random.between(0, 20 * 24 * 60) * MINUTE_MS
  const faultsEndMs = startMs + SCENARIO_DAYS * DAY_MS
  const settings = withHoldouts(random.fork("hold-out"), settingsOf(random.fork("settings")))
  const deliveries: (Delivery & { atMs: number; customer: number })[] = []
  const subscriptions: { id: string; customer: string }[] = []
  const customers = random.pick([1, 1, 1, 1, 2, 3])
  for (let place = 0; place < customers; place++) {
    const { webhooks, subscription } = customerPlan(random.fork(`life ${place}`), place, startMs)
    deliveries.push(...webhooks)
    if (subscription) subscriptions.push(subscription)
  }
  const sent = inBursts(random.fork("bursts"), deliveries, startMs)
  return {
    startMs,
    faultsEndMs,
    settings,
    deliveries: sent,
    customers,
    subscriptions,
    faultProfile: faultProfileOf(random.fork("weather"), startMs, sent),
    missRate: random.pick([0, 0.1, 0.5]),
    doubleRate: random.pick([0, 0.1, 0.4]),
    restarts: random.chance(0.3) ? [startMs + random.between(0, SCENARIO_DAYS * 24 * 60) * MINUTE_MS] : [],
    switches: switchesOf(random.fork("switches"), startMs),
    optOutRate: random.pick([0, 0, 0.3]),
    clickRate: random.pick([0, 0.3]),
  }
}

function customerPlan(random: Random, place: number, startMs: number) {
  const scenario = random.pick(SCENARIOS)
  // Whop's events contain their account, which is the first company's.
  const company = scenario.provider === "stripe" && random.chance(0.3) ? COMPANIES[1] : COMPANIES[0]
  const who: ScenarioCustomer = { tag: `${company.slice(4, 5)}${place}x`, company }
  const times = timesOf(random, scenario.writers.length, startMs)
  const path =
    company === COMPANIES[1] ? `/api/webhooks/${scenario.provider}/${company}` : `/api/webhooks/${scenario.provider}`
  const first = random.between(0, 3)
  const webhooks = [...firstEvents(random, scenario, who, startMs), ...writeEvents(scenario, who, times)].map(
    (event, n, all) => {
      const isFirst = n < all.length - times.length
      const at = isFirst ? startMs : (times[n - (all.length - times.length)]?.getTime() ?? startMs)
      const late = random.chance(0.2) ? random.between(1, 600) * MINUTE_MS : random.between(0, 3_000)
      return {
        webhook: event,
        provider: scenario.provider,
        company,
        path,
        attempts: 0,
        isAcknowledged: false,
        isGivenUp: false,
        atMs: at + (isFirst ? first : late),
        customer: place,
      }
    },
  )
  const subscription =
    scenario.provider === "stripe" ? { id: `sub_${who.tag}`, customer: customerOf(scenario, who) } : null
  return { webhooks, subscription }
}

/** Some customers are known before their scenario begins, with a time zone and a phone number. */
function firstEvents(
  random: Random,
  scenario: Scenario,
  who: ScenarioCustomer,
  startMs: number,
): ReturnType<typeof writeEvents> {
  const zone = random.pick(ZONES)
  const phone = random.chance(0.3) ? "+4915112345678" : null
  if (scenario.provider !== "stripe" || !random.chance(0.6)) return []
  const object = {
    id: customerOf(scenario, who),
    object: "customer",
    name: "Ann Example",
    email: `${customerOf(scenario, who)}@example.com`,
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

/** Some providers' queues stand still for a time, and then send everything within milliseconds. */
function inBursts(random: Random, deliveries: Plan["deliveries"], startMs: number): Plan["deliveries"] {
  const isHeldBack = random.chance(0.3)
  const untilMs = startMs + random.between(1, SCENARIO_DAYS * 24) * HOUR_MS
  const after = deliveries.map(() => random.between(0, 5))
  if (!isHeldBack) return deliveries
  return deliveries.map((delivery, place) => {
    const atMs = Math.max(delivery.atMs, untilMs + (after[place] ?? 0))
    return delivery.atMs < untilMs ? { ...delivery, atMs } : delivery
  })
}

/** A scenario takes seconds or days; some events share a second, as at Stripe. */
function timesOf(random: Random, count: number, startMs: number): Date[] {
  const gapMs = random.pick([1, 10 * SECOND_MS, HOUR_MS, 12 * HOUR_MS, DAY_MS])
  let at = startMs + random.between(0, 24 * 60) * MINUTE_MS
  const endMs = startMs + (SCENARIO_DAYS - 1) * DAY_MS
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

/** Half of the schedules have a hold-out, some the largest. */
function withHoldouts(
  random: Random,
  settings: ReadonlyMap<string, Partial<CompanySettings>>,
): Map<string, Partial<CompanySettings>> {
  const shares = COMPANIES.map((company) => [company, random.pick([0, 0, 10, 50])] as const)
  const withShare = shares.flatMap(([company, holdoutPercentage]) =>
    holdoutPercentage === 0 ? [] : [[company, { ...settings.get(company), holdoutPercentage }] as const],
  )
  return new Map([...settings, ...withShare])
}

/** Postgres twice, because most depends on it. */
const TARGETS: readonly [Outage["target"], ...Outage["target"][]] = [
  ...(["postgres", "postgres", "redis", "qstash", "email"] as const),
  ...(["sms", "push", "dm", "stripe-api", "whop-api"] as const),
]

function faultProfileOf(
  random: Random,
  startMs: number,
  deliveries: readonly { readonly atMs: number }[],
): FaultProfile {
  // Most faults begin shortly before an event, since others would affect nothing.
  const moment = (beforeMs: number): number => {
    const delivery = deliveries[random.between(0, deliveries.length - 1)]
    const anyTime = startMs + random.between(0, SCENARIO_DAYS * 24 * 60) * MINUTE_MS
    const near = (delivery?.atMs ?? anyTime) - random.between(0, beforeMs)
    return random.chance(0.8) ? near : anyTime
  }
  const outages = Array.from({ length: random.pick([0, 0, 1, 1, 2, 3]) }, (): Outage => {
    const lengthMs = random.pick([2 * MINUTE_MS, 20 * MINUTE_MS, 2 * HOUR_MS, 8 * HOUR_MS])
    const fromMs = moment(lengthMs)
    const target = random.pick<Outage["target"]>(TARGETS)
    return { target, fromMs, untilMs: fromMs + lengthMs, mode: random.pick(["down", "error", "hang"]) }
  })
  const unreliablePeriods = Array.from({ length: random.pick([0, 1, 2]) }, () => {
    const lengthMs = random.pick([MINUTE_MS, 10 * MINUTE_MS, HOUR_MS])
    const fromMs = moment(lengthMs)
    return { fromMs, untilMs: fromMs + lengthMs, effectRate: random.pick([0.2, 0.4]) }
  })
  return {
    effectRate: random.pick([0, 0.02, 0.05, 0.1]),
    unreliablePeriods,
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
