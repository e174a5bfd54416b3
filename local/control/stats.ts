import type { FaultTarget } from "../faults.ts"

/**
 * The counters: requests that each local replacement received, requests without effect because of a fault, and separately
 * from the requests to them QStash's deliveries and the commands of Redis, of which a request may have several.
 */
export type StatsTarget = FaultTarget | `${FaultTarget}-turned-away` | "qstash-deliveries" | "redis-commands"

/** Counts round trips, so that a test can check the Worker's budget. */
export type Stats = {
  count(target: StatsTarget, times?: number): void
  all(): Readonly<Record<string, number>>
  clear(): void
}

/** Counters that start at 0; the stores are listed even without requests. */
export function createStats(): Stats {
  const counts = new Map<StatsTarget, number>()
  return {
    count: (target, times = 1) => void counts.set(target, (counts.get(target) ?? 0) + times),
    all: () => ({ postgres: 0, redis: 0, qstash: 0, ...Object.fromEntries(counts) }),
    clear: () => counts.clear(),
  }
}
