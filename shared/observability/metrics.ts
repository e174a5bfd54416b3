/**
 * Requests and refolds counted by minute, requests also by area, until they are collected. An isolate's uncollected counts are lost with it; no
 * request waits for counting. Time is a parameter.
 */

/** Request areas. Health is excluded: monitors would distort the metrics of users. */
export const AREAS = ["webhooks", "api", "jobs", "links"] as const
export type Area = (typeof AREAS)[number]

/**
 * Requests of one area: their number, the number answered 5xx, and their total duration. Answers 4xx are the caller's
 * fault and counted separately: a flood of them would hide a failing service.
 */
export interface Count {
  readonly requests: number
  readonly refused: number
  readonly errors: number
  readonly durationMs: number
}

/**
 * How often facts of a customer that a stored state contained were folded again: all of them, or those of the state's last
 * second.
 */
export interface Refolds {
  readonly whole: number
  readonly lastSecond: number
  /** The facts that were folded for both. */
  readonly facts: number
}

export type Counts = Readonly<Record<Area, Count>> & { readonly refolds: Refolds }

const MINUTE_MS = 60_000
const NO_REQUESTS: Count = { requests: 0, refused: 0, errors: 0, durationMs: 0 }
const NO_REFOLDS: Refolds = { whole: 0, lastSecond: 0, facts: 0 }
export const EMPTY_COUNTS: Counts = {
  ...{ webhooks: NO_REQUESTS, api: NO_REQUESTS, jobs: NO_REQUESTS, links: NO_REQUESTS },
  refolds: NO_REFOLDS,
}

/** The number of a minute since 1970. */
export const minuteOf = (atMs: number): number => Math.floor(atMs / MINUTE_MS)

/** The area of a path; null when it is not counted. */
export function areaOf(path: string): Area | null {
  if (path.startsWith("/api/webhooks/")) return "webhooks"
  if (path.startsWith("/jobs/")) return "jobs"
  if (path.startsWith("/r/") || path.startsWith("/unsubscribe/")) return "links"
  const isHealth = path === "/api/health" || path.startsWith("/api/health/") || path.startsWith("/api/scheduler/")
  return path.startsWith("/api/") && !isHealth ? "api" : null
}

/** Whether this status is a refusal of the request. */
export const isClientError = (status: number): boolean => status >= 400 && status < 500

/** The sum of counts. */
export const addCounts = (a: Counts, b: Counts): Counts => ({
  webhooks: addCount(a.webhooks, b.webhooks),
  api: addCount(a.api, b.api),
  jobs: addCount(a.jobs, b.jobs),
  links: addCount(a.links, b.links),
  refolds: {
    whole: a.refolds.whole + b.refolds.whole,
    lastSecond: a.refolds.lastSecond + b.refolds.lastSecond,
    facts: a.refolds.facts + b.refolds.facts,
  },
})

const addCount = (a: Count, b: Count): Count => ({
  requests: a.requests + b.requests,
  refused: a.refused + b.refused,
  errors: a.errors + b.errors,
  durationMs: a.durationMs + b.durationMs,
})

/** Uncollected counts by minute, for at most `minutesMax` minutes; the oldest is dropped first. */
export class RequestCounter {
  readonly #minutes = new Map<number, Counts>()
  readonly #minutesMax: number

  constructor(minutesMax: number) {
    this.#minutesMax = minutesMax
  }

  /** Counts one request that was answered with this status. */
  count(area: Area, status: number, durationMs: number, atMs: number): void {
    const one = isClientError(status)
      ? { ...NO_REQUESTS, refused: 1 }
      : { requests: 1, refused: 0, errors: status >= 500 ? 1 : 0, durationMs: Math.max(0, durationMs) }
    this.add(minuteOf(atMs), { ...EMPTY_COUNTS, [area]: one })
  }

  /** Counts one refold of so many facts: of the whole ledger, or of the state's last second. */
  countRefold({ isWhole, facts }: { readonly isWhole: boolean; readonly facts: number }, atMs: number): void {
    const one = { whole: isWhole ? 1 : 0, lastSecond: isWhole ? 0 : 1, facts }
    this.add(minuteOf(atMs), { ...EMPTY_COUNTS, refolds: one })
  }

  /** Adds counts of a minute, such as those that could not be sent. */
  add(minute: number, counts: Counts): void {
    this.#minutes.set(minute, addCounts(this.#minutes.get(minute) ?? EMPTY_COUNTS, counts))
    for (const oldest of [...this.#minutes.keys()].sort((a, b) => a - b)) {
      if (this.#minutes.size <= this.#minutesMax) break
      this.#minutes.delete(oldest)
    }
  }

  /** Returns all counts and resets them. */
  take(): ReadonlyMap<number, Counts> {
    const taken = new Map(this.#minutes)
    this.#minutes.clear()
    return taken
  }

  /** The sum over minutes `from` to `to`, both included; does not reset. */
  sum(from: number, to: number): Counts {
    let all = EMPTY_COUNTS
    for (const [minute, counts] of this.#minutes) if (minute >= from && minute <= to) all = addCounts(all, counts)
    return all
  }
}

/** `part` divided by `whole`; null when `whole` is zero. */
export const ratioOf = (part: number, whole: number): number | null => (whole === 0 ? null : part / whole)

/** Totals, the error rate, and the mean duration of requests for which a caller waits (all but jobs). */
export function summarizeRequests(counts: Counts) {
  const all = AREAS.reduce((sum, area) => addCount(sum, counts[area]), NO_REQUESTS)
  const awaited = addCount(addCount(counts.webhooks, counts.api), counts.links)
  return {
    requests: all.requests,
    errorRate: ratioOf(all.errors, all.requests),
    meanResponseMs: meanOf(awaited),
    areas: {
      webhooks: areaMetrics(counts.webhooks),
      api: areaMetrics(counts.api),
      jobs: areaMetrics(counts.jobs),
      links: areaMetrics(counts.links),
    },
  }
}

const meanOf = ({ durationMs, requests }: Count): number | null => {
  const mean = ratioOf(durationMs, requests)
  return mean === null ? null : Math.round(mean * 10) / 10
}

const areaMetrics = (count: Count) => ({
  requests: count.requests,
  refused: count.refused,
  errors: count.errors,
  meanResponseMs: meanOf(count),
})
