/**
 * Counting against limits in the memory of one isolate. A sliding window as `@upstash/ratelimit` counts it: the window
 * of now and as much of the one before as still lies within one window's length of now. Time is a parameter.
 */

/** So many in so long a time. Counts of different names never meet. */
export interface Limit {
  readonly name: string
  readonly max: number
  readonly windowMs: number
}

/** How a key stands against its limit. */
export interface LimitStatus {
  readonly limit: Limit
  /** One more is, or was, too many. */
  readonly isOver: boolean
  readonly remaining: number
  /** While over: how long until one more passes. Otherwise: how long until the window ends. */
  readonly resetMs: number
}

interface Bucket {
  /** Which window `current` counts, in whole windows since 1970. */
  index: number
  current: number
  previous: number
  blockedUntilMs: number
}

/** Buckets by limit and key; beyond `keysMax` the one that was asked for least recently is forgotten. */
export class Buckets {
  readonly #buckets = new Map<string, Bucket>()
  readonly #keysMax: number

  constructor(keysMax: number) {
    this.#keysMax = keysMax
  }

  get size(): number {
    return this.#buckets.size
  }

  /** How the key stands, counting nothing. */
  read(limit: Limit, key: string, nowMs: number): LimitStatus {
    return readingOf(limit, this.#find(limit, key, nowMs), nowMs)
  }

  /** Counts one unless that is too many; `isOver` says that it was refused. */
  take(limit: Limit, key: string, nowMs: number): LimitStatus {
    const before = this.read(limit, key, nowMs)
    return before.isOver ? before : { ...this.charge(limit, key, nowMs), isOver: false }
  }

  /** Counts one that has happened already, whatever the limit; `isOver` says that the next is too many. */
  charge(limit: Limit, key: string, nowMs: number): LimitStatus {
    const bucket = this.#findOrAdd(limit, key, nowMs)
    bucket.current += 1
    return readingOf(limit, bucket, nowMs)
  }

  /** Refuses the key for so long: somebody who counts for all isolates has said so. */
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

  /** The bucket at `nowMs`, put back as the most recently used. A clock that went back makes it a new one. */
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

function readingOf(limit: Limit, bucket: Bucket | null, nowMs: number): LimitStatus {
  const { max, windowMs } = limit
  const startMs = indexOf(limit, nowMs) * windowMs
  const { current, previous, blockedUntilMs } = bucket ?? { current: 0, previous: 0, blockedUntilMs: 0 }
  const used = Math.floor(previous * (1 - (nowMs - startMs) / windowMs)) + current
  const isBlocked = nowMs < blockedUntilMs
  const isOver = isBlocked || used >= max
  const passesMs = used >= max ? passesAtMs(limit, startMs, current, previous) : nowMs
  const resetMs = isOver ? Math.max(passesMs, blockedUntilMs) - nowMs : startMs + windowMs - nowMs
  return { limit, isOver, remaining: isBlocked ? 0 : Math.max(0, max - used), resetMs }
}

/** When so little of what was counted still weighs that one more fits, if nothing is counted until then. */
function passesAtMs({ max, windowMs }: Limit, startMs: number, current: number, previous: number): number {
  if (current < max) return startMs + Math.floor(windowMs * (1 - (max - current) / previous)) + 1
  return startMs + windowMs + Math.floor(windowMs * (1 - max / current)) + 1
}

/**
 * A Map that forgets what was set longest ago: the cache of `@upstash/ratelimit` shrinks only when a blocked identifier
 * comes back, and is otherwise as large as there are identifiers.
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
