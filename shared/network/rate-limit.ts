/**
 * Rate limits in the memory of one isolate. The window slides as in `@upstash/ratelimit`: the count of the current window,
 * and the share of the previous one that is still within one window's length of now. Time is a parameter.
 */

/** `max` requests in `windowMs`. Limits of different names count separately. */
export interface Limit {
  readonly name: string
  readonly max: number
  readonly windowMs: number
}

/** The status of a key against its limit. */
export interface LimitStatus {
  readonly limit: Limit
  /** One more exceeds the limit, or did. */
  readonly isOver: boolean
  readonly remaining: number
  /** While over: how long until one more is allowed. Otherwise: how long until the window ends. */
  readonly resetMs: number
}

interface Bucket {
  /** Which window `current` counts, in whole windows since 1970. */
  index: number
  current: number
  previous: number
  blockedUntilMs: number
}

/** Buckets by limit and key; beyond `keysMax` the least recently used one is dropped. */
export class Buckets {
  readonly #buckets = new Map<string, Bucket>()
  readonly #keysMax: number

  constructor(keysMax: number) {
    this.#keysMax = keysMax
  }

  get size(): number {
    return this.#buckets.size
  }

  /** The status of the key; counts nothing. */
  read(limit: Limit, key: string, nowMs: number): LimitStatus {
    return statusOf(limit, this.#find(limit, key, nowMs), nowMs)
  }

  /** Counts one unless it exceeds the limit; `isOver`: it was refused. */
  take(limit: Limit, key: string, nowMs: number): LimitStatus {
    const before = this.read(limit, key, nowMs)
    return before.isOver ? before : { ...this.charge(limit, key, nowMs), isOver: false }
  }

  /** Counts one that has happened already, whatever the limit; `isOver`: the next one exceeds it. */
  charge(limit: Limit, key: string, nowMs: number): LimitStatus {
    const bucket = this.#findOrAdd(limit, key, nowMs)
    bucket.current += 1
    return statusOf(limit, bucket, nowMs)
  }

  /** Refuses the key for `forMs`, since the count of all isolates exceeds the limit. */
  block(limit: Limit, key: string, nowMs: number, forMs: number): void {
    this.#findOrAdd(limit, key, nowMs).blockedUntilMs = nowMs + Math.min(forMs, limit.windowMs)
  }

  #findOrAdd(limit: Limit, key: string, nowMs: number): Bucket {
    const known = this.#find(limit, key, nowMs)
    if (known) return known
    const bucket = { index: indexOf(limit, nowMs), current: 0, previous: 0, blockedUntilMs: 0 }
    this.#buckets.set(nameOf(limit, key), bucket)
    for (const oldest of this.#buckets.keys()) {
      if (this.#buckets.size <= this.#keysMax) break
      this.#buckets.delete(oldest)
    }
    return bucket
  }

  /** The bucket at `nowMs`, inserted again as the most recently used; null when the clock went back: then a new one starts. */
  #find(limit: Limit, key: string, nowMs: number): Bucket | null {
    const name = nameOf(limit, key)
    const bucket = this.#buckets.get(name)
    if (!bucket) return null
    this.#buckets.delete(name)
    const index = indexOf(limit, nowMs)
    if (index < bucket.index) return null
    this.#buckets.set(name, bucket)
    if (index > bucket.index) {
      bucket.previous = index === bucket.index + 1 ? bucket.current : 0
      bucket.current = 0
      bucket.index = index
    }
    return bucket
  }
}

const nameOf = ({ name }: Limit, key: string): string => `${name}|${key}`
const indexOf = ({ windowMs }: Limit, nowMs: number): number => Math.floor(nowMs / windowMs)

function statusOf(limit: Limit, bucket: Bucket | null, nowMs: number): LimitStatus {
  const { max, windowMs } = limit
  const startMs = indexOf(limit, nowMs) * windowMs
  const { current, previous, blockedUntilMs } = bucket ?? { current: 0, previous: 0, blockedUntilMs: 0 }
  const used = Math.floor(previous * (1 - (nowMs - startMs) / windowMs)) + current
  const isBlocked = nowMs < blockedUntilMs
  const isOver = isBlocked || used >= max
  const allowedMs = used >= max ? allowedAtMs(limit, startMs, current, previous) : nowMs
  const resetMs = isOver ? Math.max(allowedMs, blockedUntilMs) - nowMs : startMs + windowMs - nowMs
  return { limit, isOver, remaining: isBlocked ? 0 : Math.max(0, max - used), resetMs }
}

/** When one more is allowed again, if nothing is counted until then. */
function allowedAtMs({ max, windowMs }: Limit, startMs: number, current: number, previous: number): number {
  if (current < max) return startMs + Math.floor(windowMs * (1 - (max - current) / previous)) + 1
  return startMs + windowMs + Math.floor(windowMs * (1 - max / current)) + 1
}

/**
 * A Map that drops the entry that was set longest ago, for the cache of `@upstash/ratelimit`: that shrinks only when a
 * blocked identifier returns, and otherwise grows with the number of identifiers.
 */
export class BoundedMap<Key, Value> extends Map<Key, Value> {
  readonly #sizeMax: number

  constructor(sizeMax: number) {
    super()
    this.#sizeMax = sizeMax
  }

  override set(key: Key, value: Value): this {
    this.delete(key)
    super.set(key, value)
    for (const oldest of this.keys()) {
      if (this.size <= this.#sizeMax) break
      this.delete(oldest)
    }
    return this
  }
}
