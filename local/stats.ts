import type { FaultTarget } from "./faults.ts"

/**
 * What is counted: requests that each stand-in took, those that a fault turned away, and the deliveries of QStash apart
 * from the requests to it.
 */
export type StatsTarget = FaultTarget | `${FaultTarget}-turned-away` | "qstash-deliveries"

/** Counted round trips, so that a test can hold the Worker to its budget. */
export type Stats = {
  count(target: StatsTarget): void
  all(): Readonly<Record<string, number>>
  clear(): void
}

/** Counters that all begin at 0; the stores are listed even when nothing was asked of them. */
export function createStats(): Stats {
  const counts = new Map<StatsTarget, number>()
  return {
    count: (target) => void counts.set(target, (counts.get(target) ?? 0) + 1),
    all: () => ({ postgres: 0, redis: 0, qstash: 0, ...Object.fromEntries(counts) }),
    clear: () => counts.clear(),
  }
}
