/** The parts of the ingest benchmark. Targets alternate within each, so that a busy machine affects all of them. */

import type { Measurement } from "../load/measure.ts"
import { progress } from "../support/benchmark.ts"
import { forgetStatistics, runSql, setAutovacuum } from "../support/sql.ts"
import { measure } from "./measure.ts"
import { FAILED_SCENARIO, KNOWN_SCENARIO, type Scenario, TARGET_NAMES, type TargetName } from "./scenarios.ts"
import { type BenchmarkTarget, type IngestWorld, startDelayed } from "./targets.ts"

/** For each target that was measured, one entry a round. */
export type Rounds = Readonly<Record<TargetName, readonly Measurement[]>>

export interface Effort {
  readonly seconds: number
  readonly rounds: number
  readonly connections: readonly number[]
  readonly scenarios: readonly Scenario[]
  /** Seconds of each step of an open load. */
  readonly stepSeconds: number
  readonly burst: number
  readonly isWarmUpShort: boolean
}

const noRounds = () => Object.fromEntries(TARGET_NAMES.map((name) => [name, []])) as unknown as MutableRounds
type MutableRounds = Record<TargetName, Measurement[]>

async function alternate(
  targets: readonly BenchmarkTarget[],
  rounds: number,
  title: string,
  one: (target: BenchmarkTarget) => Promise<Measurement>,
): Promise<Rounds> {
  const measured = noRounds()
  for (let round = 1; round <= rounds; round++) {
    for (const target of targets) {
      progress(`${title}, round ${round} of ${rounds}, ${target.name}`)
      measured[target.name].push(await one(target))
    }
  }
  return measured
}

async function warmUp(
  started: IngestWorld,
  targets: readonly BenchmarkTarget[],
  scenario: Scenario,
  { isWarmUpShort }: Effort,
): Promise<void> {
  const seconds = isWarmUpShort ? 1 : scenario.warmUpSeconds
  for (const target of targets) await measure(started, target, scenario, { kind: "closed", connections: 10, seconds })
}

export interface ClosedResult {
  readonly scenario: Scenario
  readonly connections: number
  readonly rounds: Rounds
}

/** Each connection sends its next request when the last was answered. */
export async function closedLoop(started: IngestWorld, effort: Effort): Promise<readonly ClosedResult[]> {
  const { seconds } = effort
  const results: ClosedResult[] = []
  for (const scenario of effort.scenarios) {
    await warmUp(started, started.targets, scenario, effort)
    for (const connections of effort.connections) {
      const rounds = await alternate(
        started.targets,
        effort.rounds,
        `${scenario.name}, ${connections} connections`,
        (target) => measure(started, target, scenario, { kind: "closed", connections, seconds }),
      )
      results.push({ scenario, connections, rounds })
    }
  }
  return results
}

export interface DelayedResult {
  readonly roundTripMs: number
  readonly connections: number
  readonly rounds: Rounds
}

/** Round trips to a database in the same region, and in another. */
const ROUND_TRIPS_MS = [5, 20]

/** The same with a network between the servers and Postgres. */
export async function delayedDatabase(started: IngestWorld, effort: Effort): Promise<readonly DelayedResult[]> {
  const { seconds } = effort
  const results: DelayedResult[] = []
  for (const roundTripMs of ROUND_TRIPS_MS) {
    const delayed = await startDelayed(started, roundTripMs)
    try {
      await warmUp(started, delayed.targets, KNOWN_SCENARIO, effort)
      for (const connections of effort.connections) {
        const rounds = await alternate(
          delayed.targets,
          effort.rounds,
          `${roundTripMs} ms to Postgres, ${connections} connections`,
          (target) => measure(started, target, KNOWN_SCENARIO, { kind: "closed", connections, seconds }),
        )
        results.push({ roundTripMs, connections, rounds })
      }
    } finally {
      await delayed.stop()
    }
  }
  return results
}

export interface StatisticsResult {
  readonly tables: "fresh" | "analysed"
  readonly rounds: Rounds
}

/** With tables that were never analysed, and right after ANALYZE. Must run first: later, tables have statistics. */
export async function tableStatistics(started: IngestWorld, effort: Effort): Promise<readonly StatisticsResult[]> {
  const { adminUrl, targets } = started
  const pattern = { kind: "closed", connections: effort.connections[0] ?? 10, seconds: effort.seconds } as const
  const measureAs = async (tables: StatisticsResult["tables"]): Promise<StatisticsResult> => {
    const rounds = await alternate(targets, effort.rounds, `${tables} tables`, (target) =>
      measure(started, target, KNOWN_SCENARIO, pattern),
    )
    return { tables, rounds }
  }
  await setAutovacuum(adminUrl, false)
  await warmUp(started, targets, KNOWN_SCENARIO, effort)
  await forgetStatistics(adminUrl)
  const fresh = await measureAs("fresh")
  await runSql(adminUrl, "ANALYZE")
  const analysed = await measureAs("analysed")
  await setAutovacuum(adminUrl, true)
  return [fresh, analysed]
}

export interface OpenStep extends Measurement {
  /** Requests that were due a second. */
  readonly perSecond: number
}

export type OpenResult = Readonly<Record<TargetName, readonly OpenStep[]>>

const FIRST_RATE = 100
const RATE_FACTOR = 1.35
const RATE_MAX = 5_000

/** A step is beyond saturation when the server falls behind by this share, or when waiting takes this long. */
const BEHIND_SHARE = 0.1
const WAITING_MS = 1_000

/** Requests arrive at a rate that rises from step to step until the server falls behind. */
export async function openLoop(started: IngestWorld, effort: Effort): Promise<OpenResult> {
  await warmUp(started, started.targets, KNOWN_SCENARIO, effort)
  const measured = noRounds() as unknown as Record<TargetName, OpenStep[]>
  for (const target of started.targets) {
    for (let rate = FIRST_RATE; rate < RATE_MAX; rate *= RATE_FACTOR) {
      const perSecond = Math.round(rate)
      progress(`open loop, ${target.name}, ${perSecond} a second`)
      const pattern = { kind: "open", perSecond, seconds: effort.stepSeconds } as const
      const step = await measure(started, target, KNOWN_SCENARIO, pattern)
      measured[target.name].push({ ...step, perSecond })
      if (isBeyond({ ...step, perSecond })) break
    }
  }
  return measured
}

/** Whether the answers, or the work after them, fell behind. */
export const isBeyond = ({ foldedPerSecond, perSecond, p99Ms, deferred }: OpenStep): boolean =>
  deferred > 0 || foldedPerSecond < perSecond * (1 - BEHIND_SHARE) || p99Ms > WAITING_MS

export interface BurstResult {
  readonly scenario: Scenario
  readonly rounds: Rounds
}

/** Connections that a burst arrives on. */
const BURST_CONNECTIONS = 200

/** Many requests at once: when all are acknowledged, and when all are folded. */
export async function burst(started: IngestWorld, effort: Effort): Promise<readonly BurstResult[]> {
  const results: BurstResult[] = []
  for (const scenario of [KNOWN_SCENARIO, FAILED_SCENARIO]) {
    await warmUp(started, started.targets, scenario, effort)
    const pattern = { kind: "burst", count: effort.burst, connections: BURST_CONNECTIONS } as const
    const rounds = await alternate(
      started.targets,
      effort.rounds,
      `burst of ${effort.burst}, ${scenario.name}`,
      (target) => measure(started, target, scenario, pattern),
    )
    results.push({ scenario, rounds })
  }
  return results
}
