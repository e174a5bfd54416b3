/**
 * All crash points: a flow runs once to count its effects, then once for each point at which the isolate can crash (before or
 * after each effect) or an answer be lost, and for the sending of a nudge once for each pair of points, of which the second
 * hits the retry. Every run must end like the one without crashes. A crash before an effect is not run if it leaves the same
 * state as one after the effect before it.
 */

import { Heartbeat } from "./actors/heartbeat.ts"
import { API_KEYS } from "./actors/operator.ts"
import { customerOf, LOOKUP_SCENARIOS, SCENARIOS, writeEvents } from "./actors/scenarios.ts"
import { type Delivery, sendEvent } from "./actors/senders.ts"
import type { Flow, FlowRun } from "./flows.ts"
import { checkInvariants } from "./invariants.ts"
import { randomOf } from "./random.ts"
import { type RunParts, runAgenda, seedCompanies, seedSubscription } from "./run.ts"
import { describeDatabase, readDatabaseState } from "./world/database-state.ts"
import { Crashes, type CrashPoint } from "./world/no-faults.ts"
import { setSwitchEverywhere } from "./world/switches.ts"
import { APP_URL, COMPANIES } from "./world/targets.ts"
import { World } from "./world/world.ts"

const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS

/** A Tuesday at 10:00 UTC, outside of all quiet hours. */
const START_MS = Date.UTC(2026, 9, 27, 10)
/** Leases and retries are over by then, and `sweep` has run. */
const AFTERWARDS_MS = 2 * HOUR_MS

/** The result of one run of a flow. */
export interface FlowResult {
  readonly words: string
  readonly messages: number
  readonly violations: readonly string[]
  /** Effects at which crashes are possible. */
  readonly effects: number
  /** Those before which a crash is the same as after the previous one. */
  readonly repeated: ReadonlySet<number>
  readonly isDone: boolean
  readonly trace: readonly string[]
}

/** The results of all runs of a flow. */
export interface FlowReport {
  readonly name: string
  readonly effects: number
  readonly single: number
  readonly double: number
  readonly faults: readonly string[]
}

/** Runs a flow at all its crash points; with a `reference` to compare with, until the first fault. */
export async function crashEverywhere(flow: Flow, parts: RunParts, reference?: FlowResult): Promise<FlowReport> {
  const faults: string[] = []
  const stopsAtFirstFault = reference !== undefined
  const bare = await runFlow(flow, [], parts)
  faults.push(...bare.violations.map((line) => `${flow.name}, without a crash: ${line}`))
  if (reference && reference.words !== bare.words) faults.push(`${flow.name}, without a crash: it ends differently`)
  const counts = { single: 0, double: 0 }

  const isOver = (): boolean => stopsAtFirstFault && faults.length > 0
  async function at(points: readonly CrashPoint[]): Promise<FlowResult> {
    const result = await runFlow(flow, points, parts)
    const where = points.map(({ at: number, when }) => `${when} effect ${number}`).join(", then ")
    if (result.words !== bare.words) faults.push(`${flow.name}, crash ${where}: it ends differently`)
    if (result.messages > bare.messages)
      faults.push(`${flow.name}, crash ${where}: more messages are visible than without`)
    faults.push(...result.violations.map((line) => `${flow.name}, crash ${where}: ${line}`))
    return result
  }

  /** Crashes again at every effect after a first crash; the number of second crash points that are reached. */
  async function crashAgain(first: CrashPoint, { repeated }: FlowResult): Promise<number> {
    let reached = 0
    for (let number = 1; !isOver(); number++) {
      const { isDone } = await at([first, { at: number, when: "after" }])
      if (!isDone) break
      if (!repeated.has(number)) await at([first, { at: number, when: "before" }])
      reached += 2
    }
    return reached
  }

  const results: (readonly [CrashPoint, FlowResult])[] = []
  for (const first of pointsUpTo(bare.effects)) {
    if (isOver()) break
    counts.single += 1
    if (first.when === "before" && bare.repeated.has(first.at)) continue
    results.push([first, await at([first])])
  }
  // Pairs come last: most missing guards are noticed by one crash.
  for (const [first, result] of flow.hasCrashPairs ? results : []) {
    if (first.when === "lost") continue
    if (isOver()) break
    // The crash before the next effect may be the same as this one.
    const times = first.when === "after" && bare.repeated.has(first.at + 1) ? 2 : 1
    counts.double += times * (await crashAgain(first, result))
  }
  return { name: flow.name, effects: bare.effects, ...counts, faults }
}

const pointsUpTo = (count: number): CrashPoint[] =>
  Array.from({ length: count }, (_, index) => index + 1).flatMap((at) => [
    { at, when: "before" as const },
    { at, when: "after" as const },
    { at, when: "lost" as const },
  ])

/** Runs a flow once, with crashes at those points. */
export async function runFlow(flow: Flow, points: readonly CrashPoint[], parts: RunParts): Promise<FlowResult> {
  const { database, scheduleWorker, patches } = parts
  const [company] = COMPANIES
  const settings = new Map(flow.settings ? [[company, flow.settings] as const] : [])
  await database.begin(patches)
  await seedCompanies(database, settings)

  const injector = new Crashes(points)
  const random = randomOf(`flow ${flow.name}`)
  const world = new World({
    startMs: START_MS,
    random: random.fork("world"),
    injector,
    database,
    scheduleWorker,
    isolatesMax: 1,
  })
  const heartbeat = new Heartbeat(world, random.fork("heartbeat"), () => ({ missRate: 0, doubleRate: 0, idleRate: 1 }))
  const scenario = [...SCENARIOS, ...LOOKUP_SCENARIOS].find(({ name }) => name === flow.scenario)
  if (!scenario) throw new Error(`no scenario is named ${flow.scenario}`)
  const who = { tag: "n0x", company }
  seedSubscription(world, `sub_${who.tag}`, customerOf(scenario, who))
  const deliveries: Delivery[] = []
  const path = `/api/webhooks/${scenario.provider}`
  const mutedPeriods: { fromMs: number; untilMs: number }[] = []
  let reached = 0
  let repeated: ReadonlySet<number> = new Set()

  const run: FlowRun = {
    world,
    injector,
    sendNext: () => run.send(deliveries.length),
    send(place, tag = who.tag) {
      const times = scenario.writers.map((_, n) => new Date(START_MS + n * HOUR_MS))
      const webhook = writeEvents(scenario, { tag, company }, times)[place]
      if (!webhook) throw new Error("the scenario has no more events")
      const state = { attempts: 0, isAcknowledged: false, isGivenUp: false }
      const delivery: Delivery = { webhook, provider: scenario.provider, company, path, ...state }
      deliveries.push(delivery)
      void sendEvent(world, delivery)
    },
    async advance(ms) {
      const untilMs = world.runtime.worldMs + ms
      await runAgenda(world, untilMs, () => heartbeat.plan())
      world.runtime.worldMs = untilMs
    },
    async withCrashes(work) {
      injector.begin()
      await work()
      reached = injector.counted
      repeated = new Set(injector.repeated)
      injector.end()
    },
    request(method, url, body, headers) {
      // The caller retries until there is an answer.
      const again = (answer: { readonly status: number } | null): void => {
        if (answer !== null && answer.status < 500) return
        world.runtime.agenda.put(world.runtime.worldMs + MINUTE_MS, "asked again", () => {
          run.request(method, url, body, headers)
        })
      }
      const asked = world.send({
        name: `${method} ${url.split("/")[1]}`,
        method,
        url: url.startsWith("http") ? url : `${APP_URL}${url}`,
        headers: { authorization: `Bearer ${API_KEYS[company]}`, ...headers },
        body: body ?? null,
        timeoutMs: 30 * SECOND_MS,
      })
      void asked.then(again)
    },
    link(kind) {
      const text = world.mailbox.messages
        .map((message) => `${message.body} ${JSON.stringify(message.headers)}`)
        .join(" ")
      const [url] = new RegExp(`https?://[^\\s>"]+/${kind}/[\\w-]+`).exec(text) ?? []
      if (url === undefined) throw new Error(`no message with a link to /${kind}`)
      return url
    },
    async muteMessages(ms) {
      const fromMs = world.runtime.worldMs
      mutedPeriods.push({ fromMs, untilMs: fromMs + ms })
      world.runtime.agenda.put(fromMs + ms, "switch", () => setSwitchEverywhere(world, "NOTIFICATIONS_ENABLED", true))
      await setSwitchEverywhere(world, "NOTIFICATIONS_ENABLED", false)
    },
  }
  await flow.run(run)
  await run.advance(AFTERWARDS_MS)

  const seen = await readDatabaseState(database)
  const words = await describeDatabase(seen)
  const violations = checkInvariants({
    world,
    seen,
    deliveries,
    settings,
    mutedPeriods,
    expected: null,
    reached: words,
  })
  if (points.length === 0 && !flow.isExpected(world, words)) violations.push("the flow did not do what it is for")
  const { messages } = world.mailbox
  return {
    words,
    messages: messages.length,
    violations,
    effects: reached,
    repeated,
    isDone: injector.isDone,
    trace: world.trace,
  }
}
