/** Plays the story day by day against a world: time passes, members act, providers send. */

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

/** Days end at noon UTC, wherever the clock stood, so that quiet hours fall the same in every run. */
const NOON_HOUR = 12
const DAY_SECONDS = 86_400

/** Plays all days and reports what the API says of them. */
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
  const narrators = { stripe: stripeEventBuilder(nextId), whop: whopEventBuilder(nextId) }
  const story = createSimulation({ random, narrators, nextId, at }, members)
  const courier = createEventSender(world, random)

  for (let day = 0; day < days; day += 1) {
    if (day > 0) await stopwatch.time("advancing", () => advance(world, "P1D"))
    const acts = await actOnMessages(world, story)
    courier.unexpected.push(...acts.unexpected)
    await stopwatch.time("delivering", () => courier.send([...story.tell(day), ...acts.told], day === days - 1))
    const summary = await readSummary(world)
    progress.show({
      ...{ day: day + 1, days, date: await worldNow(world), sent: courier.deliveries() },
      ...{ openCases: summary.cases.open ?? 0, nudges: sentNudges(summary) },
    })
  }
  await stopwatch.time("advancing", () => advance(world, "PT1H"))
  progress.end()
  for (const id of courier.takenTwice) {
    const stored = await countStored(world, id)
    if (stored !== 1) courier.unexpected.push(`event ${id} was taken as new twice and is stored ${stored} times`)
  }
  return {
    ...{ seed, days, customers },
    deliveries: courier.deliveries(),
    summary: await readSummary(world),
    causes: await readCauses(world),
    unexpected: courier.unexpected,
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

/** Where a run began is in all its ids, so that the same seed can be played again in the same world. */
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
