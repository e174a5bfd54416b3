/** Runs the simulation day by day against a world: time passes, members act, providers send. */

import { after } from "./event-builder.ts"
import { createEventSender } from "./event-sender.ts"
import { advance, type World, worldNow } from "./http.ts"
import { actOnMessages } from "./member-actions.ts"
import { makeMembers } from "./members.ts"
import type { Progress } from "./progress.ts"
import { createRandom } from "./random.ts"
import { countStored, type Report, readCauses, readSummary, sentNudges } from "./report.ts"
import { createSimulation } from "./simulation.ts"
import { stripeEventBuilder } from "./stripe.ts"
import { whopEventBuilder } from "./whop.ts"

export interface DemoOptions {
  readonly seed: number
  readonly days: number
  readonly customers: number
}

/** Days end at noon UTC in every run, so that quiet hours have the same effect. */
const NOON_HOUR = 12
const DAY_SECONDS = 86_400

/** Runs all days and reports the API's data. */
export async function runDemo(world: World, options: DemoOptions, progress: Progress): Promise<Report> {
  const { seed, days, customers } = options
  const stopwatch = createStopwatch()
  const startedAt = await worldNow(world)
  const start = await stopwatch.time("advancing", () => advance(world, advanceToNoon(startedAt)))
  const stamp = secondsOf36(startedAt)

  let serial = 0
  const nextId = (prefix: string): string => {
    serial += 1
    return `${prefix}_${stamp}${String(serial).padStart(5, "0")}`
  }
  const at = (day: number, second: number): Date => after(start, (day - 1) * DAY_SECONDS + second)
  const random = createRandom(seed)
  const members = makeMembers(random, stamp, customers, days)
  const eventBuilders = { stripe: stripeEventBuilder(nextId), whop: whopEventBuilder(nextId) }
  const simulation = createSimulation({ random, eventBuilders, nextId, at }, members)
  const sender = createEventSender(world, random)

  for (let day = 0; day < days; day += 1) {
    if (day > 0) await stopwatch.time("advancing", () => advance(world, "P1D"))
    const actions = await actOnMessages(world, simulation)
    sender.unexpected.push(...actions.unexpected)
    const events = [...simulation.eventsOf(day), ...actions.events]
    await stopwatch.time("delivering", () => sender.send(events, day === days - 1))
    const summary = await readSummary(world)
    progress.show({
      ...{ day: day + 1, days, date: await worldNow(world), sent: sender.deliveries() },
      ...{ openCases: summary.cases.open ?? 0, nudges: sentNudges(summary) },
    })
  }
  await stopwatch.time("advancing", () => advance(world, "PT1H"))
  progress.end()
  for (const id of sender.acceptedTwice) {
    const stored = await countStored(world, id)
    if (stored !== 1) sender.unexpected.push(`event ${id} was accepted as new twice and is stored ${stored} times`)
  }
  return {
    ...{ seed, days, customers },
    deliveries: sender.deliveries(),
    summary: await readSummary(world),
    causes: await readCauses(world),
    unexpected: sender.unexpected,
    seconds: stopwatch.seconds(),
  }
}

/** The duration to the next noon. */
function advanceToNoon(now: Date): string {
  const noon = new Date(now)
  noon.setUTCHours(NOON_HOUR, 0, 0, 0)
  const seconds = Math.ceil((noon.getTime() - now.getTime()) / 1_000)
  return `PT${seconds > 0 ? seconds : seconds + DAY_SECONDS}S`
}

/** All ids of a run include its start, so that the same seed can run again in the same world. */
const secondsOf36 = (date: Date): string => Math.floor(date.getTime() / 1_000).toString(36)

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
