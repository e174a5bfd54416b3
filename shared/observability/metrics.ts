/**
 * Requests counted by area and minute, until somebody collects them. What an isolate counts is lost with it; nobody waits
 * for a count. Time is a parameter.
 */

/** What requests are told apart by. Health is none of them: monitors would hide what users feel. */
export const AREAS = ["webhooks", "api", "jobs", "links"] as const
export type Area = (typeof AREAS)[number]

/**
 * Requests of one area: how many, how many of them were answered 5xx, and how long all of them took together. What was
 * answered 4xx is the caller's fault and counted apart: a flood of it would make a failing service look well.
 */
export interface Count {
  readonly requests: number
  readonly refused: number
  readonly errors: number
  readonly durationMs: number
}

export type Counts = Readonly<Record<Area, Count>>

const MINUTE_MS = 60_000
const NOTHING: Count = { requests: 0, refused: 0, errors: 0, durationMs: 0 }
export const EMPTY_COUNTS: Counts = { webhooks: NOTHING, api: NOTHING, jobs: NOTHING, links: NOTHING }

/** The number of a minute since 1970. */
export const minuteOf = (atMs: number): number => Math.floor(atMs / MINUTE_MS)

/** The area of a path; null for what is not counted. */
export function areaOf(path: string): Area | null {
  if (path.startsWith("/api/webhooks/")) return "webhooks"
  if (path.startsWith("/jobs/")) return "jobs"
  if (path.startsWith("/r/") || path.startsWith("/unsubscribe/")) return "links"
  const isHealth = path === "/api/health" || path.startsWith("/api/health/") || path.startsWith("/api/scheduler/")
  return path.startsWith("/api/") && !isHealth ? "api" : null
}

/** Whether this status says that the request was not taken on. */
export const isClientError = (status: number): boolean => status >= 400 && status < 500

/** The sum of counts. */
export const addCounts = (a: Counts, b: Counts): Counts => ({
  webhooks: addCount(a.webhooks, b.webhooks),
  api: addCount(a.api, b.api),
  jobs: addCount(a.jobs, b.jobs),
  links: addCount(a.links, b.links),
})

const addCount = (a: Count, b: Count): Count => ({
  requests: a.requests + b.requests,
  refused: a.refused + b.refused,
  errors: a.errors + b.errors,
  durationMs: a.durationMs + b.durationMs,
})

/** What was counted and not yet collected, by minute. Holds `minutesMax` minutes; the oldest is lost first. */
export class RequestCounter {
  readonly #minutes = new Map<number, Counts>()
  readonly #minutesMax: number

  constructor(minutesMax: number) {
    this.#minutesMax = minutesMax
  }

  /** Counts one request that was answered with this status. */
  count(area: Area, status: number, durationMs: number, atMs: number): void {
    const one = isClientError(status)
      ? { ...NOTHING, refused: 1 }
      : { requests: 1, refused: 0, errors: status >= 500 ? 1 : 0, durationMs: Math.max(0, durationMs) }
    this.add(minuteOf(atMs), { ...EMPTY_COUNTS, [area]: one })
  }

  /** Adds counts of a minute, as those that could not be handed on. */
  add(minute: number, counts: Counts): void {
    this.#minutes.set(minute, addCounts(this.#minutes.get(minute) ?? EMPTY_COUNTS, counts))
    for (const oldest of [...this.#minutes.keys()].sort((a, b) => a - b)) {
      if (this.#minutes.size <= this.#minutesMax) break
      this.#minutes.delete(oldest)
    }
  }

  /** All that there is, and begins anew. */
  take(): ReadonlyMap<number, Counts> {
    const taken = new Map(this.#minutes)
    this.#minutes.clear()
    return taken
  }

  /** The sum over minutes `from` to `to`, both included; nothing is taken. */
  sum(from: number, to: number): Counts {
    let all = EMPTY_COUNTS
    for (const [minute, counts] of this.#minutes) if (minute >= from && minute <= to) all = addCounts(all, counts)
    return all
  }
}

/** The share of `part` in `whole`; null when there is nothing to have a share in. */
export const ratioOf = (part: number, whole: number): number | null => (whole === 0 ? null : part / whole)

/** What requests come to: all of them, how many failed, and how long those took for which somebody waits (jobs are not). */
export function summarizeRequests(counts: Counts) {
  const all = AREAS.reduce((sum, area) => addCount(sum, counts[area]), NOTHING)
  const awaited = addCount(addCount(counts.webhooks, counts.api), counts.links)
  return {
    requests: all.requests,
    errorRate: ratioOf(all.errors, all.requests),
    meanResponseMs: meanOf(awaited),
    areas: {
      webhooks: figuresOf(counts.webhooks),
      api: figuresOf(counts.api),
      jobs: figuresOf(counts.jobs),
      links: figuresOf(counts.links),
    },
  }
}

const meanOf = ({ durationMs, requests }: Count): number | null => {
  const mean = ratioOf(durationMs, requests)
  return mean === null ? null : Math.round(mean * 10) / 10
}

const figuresOf = (count: Count) => ({
  requests: count.requests,
  refused: count.refused,
  errors: count.errors,
  meanResponseMs: meanOf(count),
})
