/**
 * Crash points, exhaustively: a flow is played once to count its effects, then once for each point at which the isolate
 * can die (before or after each effect), and for the sending of a nudge once for each pair of points, the second of which
 * strikes whoever takes up the work. Every run must end as the one without crashes did.
 */

import { Heartbeat } from "./actors/heartbeat.ts"
import { API_KEYS } from "./actors/operator.ts"
import { ASKED_STORIES, customerOf, SCENARIOS, tell } from "./actors/scenarios.ts"
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

/** A Tuesday at ten, outside anybody's quiet hours. */
const START_MS = Date.UTC(2026, 9, 27, 10)
/** Leases, retries and the sweeper's patience are over by then. */
const AFTERWARDS_MS = 2 * HOUR_MS

/** How one playing of a flow went. */
export interface FlowResult {
  readonly words: string
  readonly messages: number
  readonly violations: readonly string[]
  /** Effects within reach of the crashes. */
  readonly effects: number
  readonly isDone: boolean
  readonly trace: readonly string[]
}

/** How a flow fared. */
export interface FlowReport {
  readonly name: string
  readonly effects: number
  readonly single: number
  readonly double: number
  readonly faults: readonly string[]
}

/** Plays a flow at all its crash points; with a `reference` to compare with, only until the first fault is found. */
export async function crashEverywhere(flow: Flow, parts: RunParts, reference?: FlowResult): Promise<FlowReport> {
  const faults: string[] = []
  const isImpatient = reference !== undefined
  const bare = await runFlow(flow, [], parts)
  faults.push(...bare.violations.map((line) => `${flow.name}, without a crash: ${line}`))
  if (reference && reference.words !== bare.words) faults.push(`${flow.name}, without a crash: the end is another`)
  const counts = { single: 0, double: 0 }

  const isOver = (): boolean => isImpatient && faults.length > 0
  async function at(points: readonly CrashPoint[]): Promise<FlowResult> {
    const played = await runFlow(flow, points, parts)
    const where = points.map(({ at: number, when }) => `${when} effect ${number}`).join(", then ")
    if (played.words !== bare.words) faults.push(`${flow.name}, crash ${where}: the end is another`)
    if (played.messages > bare.messages) faults.push(`${flow.name}, crash ${where}: more is visible than without`)
    faults.push(...played.violations.map((line) => `${flow.name}, crash ${where}: ${line}`))
    return played
  }

  const firsts = pointsUpTo(bare.effects)
  for (const first of firsts) {
    if (isOver()) break
    await at([first])
    counts.single += 1
  }
  if (flow.arePairsPlayed) {
    for (const first of firsts.filter(({ when }) => when !== "lost")) {
      for (let number = 1, isReached = true; isReached && !isOver(); number++) {
        isReached = false
        for (const when of ["before", "after"] as const) {
          const { isDone } = await at([first, { at: number, when }])
          if (isDone) counts.double += 1
          isReached ||= isDone
        }
      }
    }
  }
  return { name: flow.name, effects: bare.effects, ...counts, faults }
}

const pointsUpTo = (count: number): CrashPoint[] =>
  Array.from({ length: count }, (_, index) => index + 1).flatMap((at) => [
    { at, when: "before" as const },
    { at, when: "after" as const },
    { at, when: "lost" as const },
  ])

/** Plays a flow once, struck at those points. */
export async function runFlow(flow: Flow, points: readonly CrashPoint[], parts: RunParts): Promise<FlowResult> {
  const { database, player, patches } = parts
  const [company] = COMPANIES
  const settings = new Map(flow.settings ? [[company, flow.settings] as const] : [])
  await database.begin(patches)
  await seedCompanies(database, settings)

  const chaos = new Crashes(points)
  const random = randomOf(`flow ${flow.name}`)
  const world = new World({ startMs: START_MS, random: random.fork("world"), chaos, database, player, isolatesMax: 1 })
  const heartbeat = new Heartbeat(world, random.fork("heartbeat"), () => ({ missRate: 0, doubleRate: 0 }))
  const story = [...SCENARIOS, ...ASKED_STORIES].find(({ name }) => name === flow.story)
  if (!story) throw new Error(`no story is called ${flow.story}`)
  const who = { tag: "n0x", company }
  seedSubscription(world, `sub_${who.tag}`, customerOf(story, who))
  const deliveries: Delivery[] = []
  const path = `/api/webhooks/${story.provider}`
  const silences: { fromMs: number; untilMs: number }[] = []
  let reached = 0

  const scene: FlowRun = {
    world,
    chaos,
    next() {
      const times = story.tellers.map((_, n) => new Date(START_MS + n * HOUR_MS))
      const told = tell(story, who, times)[deliveries.length]
      if (!told) throw new Error("the story is over")
      const state = { attempts: 0, isAcknowledged: false, isGivenUp: false }
      const delivery: Delivery = { told, provider: story.provider, company, path, ...state }
      deliveries.push(delivery)
      void sendEvent(world, delivery)
    },
    async pass(ms) {
      const untilMs = world.runtime.worldMs + ms
      await runAgenda(world, untilMs, () => heartbeat.plan())
      world.runtime.worldMs = untilMs
    },
    async strike(work) {
      chaos.begin()
      await work()
      reached = chaos.counted
      chaos.end()
    },
    ask(method, url, body, headers) {
      // Whoever asks asks again until there is an answer.
      const again = (answer: { readonly status: number } | null): void => {
        if (answer !== null && answer.status < 500) return
        world.runtime.agenda.put(world.runtime.worldMs + MINUTE_MS, "asked again", () => {
          scene.ask(method, url, body, headers)
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
    async silence(ms) {
      const fromMs = world.runtime.worldMs
      silences.push({ fromMs, untilMs: fromMs + ms })
      world.runtime.agenda.put(fromMs + ms, "switch", () => setSwitchEverywhere(world, "NOTIFICATIONS_ENABLED", true))
      await setSwitchEverywhere(world, "NOTIFICATIONS_ENABLED", false)
    },
  }
  await flow.play(scene)
  await scene.pass(AFTERWARDS_MS)

  const seen = await readDatabaseState(database)
  const words = await describeDatabase(seen)
  const violations = checkInvariants({ world, seen, deliveries, settings, silences, expected: null, reached: words })
  if (points.length === 0 && !flow.isPlayed(world, words)) violations.push("what the flow is about did not happen")
  const { messages } = world.mailbox
  return { words, messages: messages.length, violations, effects: reached, isDone: chaos.isDone, trace: world.trace }
}
