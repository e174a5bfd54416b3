/** Runs the simulation day by day against a world: time passes, members act, providers send. */
import { findMisdirected, ownerOf } from "./check-messages.ts"
import { type CompanyProfile, type DemoCompany, setUpCompany } from "./companies.ts"
import { after, type ScheduledEvent } from "./events/event-builder.ts"
import { createEventSender, type EventSender } from "./events/event-sender.ts"
import { stripeEventBuilder } from "./events/stripe.ts"
import { updateSubscriptions } from "./events/stripe-api-objects.ts"
import { whopEventBuilder } from "./events/whop.ts"
import { advance, callApi, type Message, messagesOf, stripeApiUrl, type World, worldNow } from "./http.ts"
import { actOnMessages } from "./member-actions.ts"
import { type Member, makeMembers } from "./members.ts"
import { serveModel } from "./model.ts"
import { createRandom } from "./random.ts"
import { countStored, readCases, readFigures, readSummary, type Summary, sentNudges } from "./report/figures.ts"
import type { Progress } from "./report/progress.ts"
import type { CompanyReport, Report } from "./report/report.ts"
import { type Story, tellStories } from "./report/stories.ts"
import { createSimulation, type Simulation } from "./simulation.ts"
import { createUsageReports, type UsageReports } from "./usage.ts"

export interface DemoOptions {
  readonly seed: number
  readonly days: number
  readonly customers: number
}

/** A company that takes part, with its share of the members. */
export interface Participant {
  readonly profile: CompanyProfile
  readonly share: number
}

const DAY_SECONDS = 86_400
const MINUTE_SECONDS = 60
/** Days end at 14:50 UTC in every run, so that quiet hours have the same effect. */
const DAY_END = { hour: 14, minute: 50 } as const
/** Halfway, at 02:50, events are sent too: they are known when customers are scored, from 03:20. */
const HALF_SECONDS = DAY_SECONDS / 2
const SCORED_SECONDS = HALF_SECONDS + 35 * MINUTE_SECONDS
/** In the end, what is still in progress. */
const LAST_HOUR_SECONDS = 60 * MINUTE_SECONDS
/** Each day events are sent a little earlier than the day before, and so before the messages that are due that day. */
const EARLIER_SECONDS = 2 * MINUTE_SECONDS

/** A company with its members, providers and usage. */
export interface CompanyRun {
  readonly company: DemoCompany
  readonly members: readonly Member[]
  readonly simulation: Simulation
  readonly sender: EventSender
  readonly usage: UsageReports
}

/** All days, as they went. */
export interface Run {
  readonly running: readonly CompanyRun[]
  /** Unexpected answers and misdirected messages, one sentence each. */
  readonly unexpected: readonly string[]
  readonly seconds: Report["seconds"]
}

/** Runs all days and reports the API's data; the stories are of the first participant. */
export async function runDemo(
  world: World,
  options: DemoOptions,
  progress: Progress,
  participants: readonly Participant[],
): Promise<Report> {
  const { running, unexpected, seconds } = await runCompanies(world, options, progress, participants)
  return { ...options, ...(await reportOf(running)), unexpected, seconds }
}

/** Sets the companies up and runs all days. */
export async function runCompanies(
  world: World,
  { seed, days, customers }: DemoOptions,
  progress: Progress,
  participants: readonly Participant[],
): Promise<Run> {
  const stopwatch = createStopwatch()
  const startedAt = await worldNow(world)
  const isEmpty = Object.values((await readSummary(world)).events).every((count) => count === 0)
  const stamp = stampOf(startedAt, isEmpty ? seed : null)
  const start = await stopwatch.time("advancing", () => advance(world, untilDayEnd(startedAt)))
  const at = (day: number, second: number): Date => after(start, (day - 1) * DAY_SECONDS + second)

  await serveModel(world)
  const flag = { enabled: true, reason: "the demo contacts members at risk" }
  await callApi(world, "/api/flags/AUTO_RETENTION_CAMPAIGNS", { method: "PUT", body: flag })
  const running: CompanyRun[] = []
  for (const [index, { profile, share }] of participants.entries()) {
    const count = Math.max(1, Math.round(customers * share))
    const own = { seed: seed + index, stamp: `${stamp}${String.fromCharCode(97 + index)}`, count, days, at }
    running.push(startCompany(await setUpCompany(world, profile), own))
  }
  const stripeUrl = await stripeApiUrl(world)

  async function deliver(one: CompanyRun, events: readonly ScheduledEvent[], isLast: boolean): Promise<void> {
    const { company, sender } = one
    const { own } = company.profile
    await updateSubscriptions(stripeUrl, own && `acct_${own.account}`, events)
    await stopwatch.time("delivering", () => sender.send(events, isLast))
  }

  /** Members do something with the messages of the day, and the company reports their usage. */
  async function endDay(one: CompanyRun, day: number, messages: readonly Message[]): Promise<void> {
    const { company, simulation, sender, usage } = one
    const actions = await actOnMessages(company.world, simulation, messages)
    sender.unexpected.push(...actions.unexpected)
    await deliver(one, actions.events, day === days - 1)
    await stopwatch.time("delivering", () => usage.send(day))
  }

  async function advanceTo(target: Date): Promise<Date> {
    const seconds = Math.ceil((target.getTime() - (await worldNow(world)).getTime()) / 1_000)
    return stopwatch.time("advancing", () => advance(world, `PT${Math.max(1, seconds)}S`))
  }

  const left = new Map(running.map((one) => [one, [] as readonly ScheduledEvent[]]))

  /** Sends what has happened by now. */
  async function deliverUntil(now: Date, isLast: boolean): Promise<void> {
    for (const [one, events] of left) {
      left.set(one, isLast ? [] : events.filter(({ at: happenedAt }) => happenedAt >= now))
      await deliver(one, isLast ? events : events.filter(({ at: happenedAt }) => happenedAt < now), isLast)
    }
  }

  for (let day = 0; day < days; day += 1) {
    for (const [one, events] of left) left.set(one, [...events, ...one.simulation.eventsOf(day)])
    // What happened before the first day is known on the first day.
    const isLast = day === days - 1
    if (day > 0) {
      await deliverUntil(await advanceTo(at(day, HALF_SECONDS - day * EARLIER_SECONDS)), false)
      await advanceTo(at(day, SCORED_SECONDS))
      await advanceTo(at(day, DAY_SECONDS - (isLast ? 0 : day * EARLIER_SECONDS)))
    }
    await deliverUntil(await worldNow(world), isLast)
    const messages = await messagesOf(world)
    for (const one of running) await endDay(one, day, messages)
    progress.show({ day: day + 1, days, date: await worldNow(world), ...(await countsOf(running)) })
  }
  await advanceTo(at(days, LAST_HOUR_SECONDS))
  progress.end()
  const messages = (await messagesOf(world)).filter(({ at: sentAt }) => new Date(sentAt) >= startedAt)
  // Members from before this run still get theirs.
  const checked = isEmpty ? messages : messages.filter((message) => ownerOf(message, running) !== null)
  const unexpected = [...findMisdirected(checked, running), ...(await unexpectedAnswers(running))]
  return { running, unexpected, seconds: stopwatch.seconds() }
}

async function unexpectedAnswers(running: readonly CompanyRun[]): Promise<readonly string[]> {
  const unexpected: string[] = []
  for (const { company, sender } of running) {
    for (const id of sender.acceptedTwice) {
      const stored = await countStored(company.world, id)
      if (stored !== 1) unexpected.push(`event ${id} was accepted as new twice and is stored ${stored} times`)
    }
    unexpected.push(...sender.unexpected)
  }
  return unexpected
}

interface CompanyStart {
  readonly seed: number
  readonly stamp: string
  readonly count: number
  readonly days: number
  readonly at: (day: number, second: number) => Date
}

function startCompany(company: DemoCompany, { seed, stamp, count, days, at }: CompanyStart): CompanyRun {
  let serial = 0
  const nextId = (prefix: string): string => {
    serial += 1
    return `${prefix}_${stamp}${String(serial).padStart(5, "0")}`
  }
  const random = createRandom(seed)
  const { providers } = company
  // Where there are both, one member in three pays through Whop.
  const shares = providers.length > 1 ? [...providers, "stripe" as const] : providers
  const isByEmailOnly = company.profile.own !== null
  const members = makeMembers(random, { ...{ stamp, count, days, isByEmailOnly }, providers: shares })
  const eventBuilders = { stripe: stripeEventBuilder(nextId), whop: whopEventBuilder(nextId) }
  const simulation = createSimulation({ random, eventBuilders, nextId, at, providers }, members)
  return {
    ...{ company, members, simulation },
    sender: createEventSender(company, random),
    usage: createUsageReports(company.world, { random, stamp, members, returned: simulation.returned, at }),
  }
}

async function countsOf(running: readonly CompanyRun[]) {
  const summaries: Summary[] = []
  for (const { company } of running) summaries.push(await readSummary(company.world))
  const sum = (of: (summary: Summary) => number): number => summaries.reduce((total, each) => total + of(each), 0)
  return {
    sent: running.reduce((total, { sender }) => total + sender.deliveries(), 0),
    openCases: sum(({ cases }) => cases.open ?? 0),
    nudges: sum(sentNudges),
  }
}

async function reportOf(running: readonly CompanyRun[]): Promise<Pick<Report, "companies" | "stories">> {
  const [first] = running
  const messages = first === undefined ? [] : await messagesOf(first.company.world)
  const companies: CompanyReport[] = []
  const stories: Story[] = []
  for (const { company, members, sender, usage } of running) {
    const { profile, world } = company
    const cases = await readCases(world)
    if (companies.length === 0) stories.push(...(await tellStories(world, cases)))
    const sent = messages.filter((message) => ownerOf(message, running) === company)
    companies.push({
      ...{ id: profile.id, name: profile.name, messages: sent.length },
      sender: sent.find(({ channel }) => channel === "email")?.from ?? null,
      ...{ members: members.length, deliveries: sender.deliveries(), signals: usage.recorded() },
      figures: await readFigures(world, cases),
    })
  }
  return { companies, stories }
}

/** The duration to the next end of a day. */
function untilDayEnd(now: Date): string {
  const end = new Date(now)
  end.setUTCHours(DAY_END.hour, DAY_END.minute, 0, 0)
  const seconds = Math.ceil((end.getTime() - now.getTime()) / 1_000)
  return `PT${seconds > 0 ? seconds : seconds + DAY_SECONDS}S`
}

/**
 * A part of all ids of a run. In an empty world it is the seed, so that the hold-out, which is drawn from ids, is the same in
 * every run; else the time, so that the same seed can run again in the same world.
 */
const stampOf = (now: Date, seed: number | null): string =>
  seed === null ? Math.floor(now.getTime() / 1_000).toString(36) : `s${seed.toString(36)}`

type Activity = "advancing" | "delivering"

function createStopwatch() {
  const startedMs = performance.now()
  const spentMs = { advancing: 0, delivering: 0 }
  return {
    async time<T>(activity: Activity, work: () => Promise<T>): Promise<T> {
      const fromMs = performance.now()
      try {
        return await work()
      } finally {
        spentMs[activity] += performance.now() - fromMs
      }
    },
    seconds: () => ({
      total: (performance.now() - startedMs) / 1_000,
      advancing: spentMs.advancing / 1_000,
      delivering: spentMs.delivering / 1_000,
    }),
  }
}
