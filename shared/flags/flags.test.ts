/** The order of flag stores and their failures. One file of more than 300 lines, since all tests share one simulated isolate. */
import { describe, expect, test } from "vitest"
import { FLAG_NAMES, type FlagName, type FlagValue, isOffForAll, isOnForAll, OFF, ON } from "../domain/flags.ts"
import {
  type FlagCache,
  type FlagFreshness,
  type FlagSources,
  flagDefaults,
  newest,
  newFlagCache,
  planFlagRead,
  type RedisFlags,
  readFlags,
  rememberFlagChange,
  type SetFlag,
  type SetFlags,
} from "./flags.ts"

const DEFAULTS = flagDefaults("local", {})

/** A flag set by the change of this number. */
const setTo = (value: FlagValue, change = 1): SetFlag => ({
  value,
  revision: change,
  changeId: `change_${change}`,
  updatedAt: "2026-11-21T12:00:00.000Z",
  updatedBy: "admin",
  reason: null,
})
const QUIET: SetFlags = { NOTIFICATIONS_ENABLED: setTo(OFF) }
const BACK: SetFlags = { NOTIFICATIONS_ENABLED: setTo(ON, 2) }

const START_MS = 1_000_000

/** An isolate with both stores, which can be made unavailable. */
function isolate() {
  const state = {
    nowMs: START_MS,
    redis: { set: {}, isComplete: true } as RedisFlags,
    copy: {} as SetFlags,
    isRedisDown: false,
    isCopyDown: false,
    reads: [] as string[],
    filled: [] as SetFlags[],
  }
  const background: Promise<unknown>[] = []
  const sources: FlagSources = {
    memory: newFlagCache(),
    defaults: DEFAULTS,
    now: () => new Date(state.nowMs),
    waitUntil: (work) => void background.push(work),
    async readRedis() {
      state.reads.push("redis")
      if (state.isRedisDown) throw new Error("down")
      return state.redis
    },
    async readCopy() {
      state.reads.push("copy")
      if (state.isCopyDown) throw new Error("down")
      return state.copy
    },
    fillRedis: async (set) => void state.filled.push(set),
  }
  const at = async (seconds: number, need: FlagFreshness = {}) => {
    state.nowMs = START_MS + seconds * 1_000
    return readFlags(sources, need)
  }
  /** Whether members are notified, the source, and the stores that were read. */
  const says = async (seconds: number, need: FlagFreshness = {}) => {
    state.reads = []
    const flags = await at(seconds, need)
    return [flags.isOn("NOTIFICATIONS_ENABLED", "any"), flags.source, state.reads.join(" ")]
  }
  return { state, sources, at, says, settled: () => Promise.all(background.splice(0)) }
}

const FRESH = { isFreshNeeded: true }
const IMMEDIATE = { isImmediate: true }

const memoryOf = (ageMs: number | null, changes: Partial<FlagCache> = {}): FlagCache => ({
  ...newFlagCache(),
  known:
    ageMs === null
      ? null
      : { set: QUIET, atMs: START_MS - ageMs, source: "redis" as const, isComplete: true as boolean },
  ...changes,
})

describe("the plan, by the age of the cached values", () => {
  test.each([
    [0, "serve", "serve"],
    [5_000, "serve", "serve"],
    [5_001, "serve_and_refresh", "read_now"],
    [60_000, "serve_and_refresh", "read_now"],
    [60_001, "read_now", "read_now"],
    [-1, "read_now", "read_now"],
    [null, "read_now", "read_now"],
  ])("%s ms: %s, or %s for what has effects, and now for the last look before one", (ageMs, usual, forEffects) => {
    expect(planFlagRead(memoryOf(ageMs), START_MS)).toBe(usual)
    expect(planFlagRead(memoryOf(ageMs), START_MS, FRESH)).toBe(forEffects)
    expect(planFlagRead(memoryOf(ageMs), START_MS, IMMEDIATE)).toBe("read_now")
  })

  test("stores that failed recently are not read by every request", () => {
    const failed = (agoMs: number) =>
      memoryOf(null, { redisFailedAtMs: START_MS - agoMs, copyFailedAtMs: START_MS - agoMs })
    for (const need of [{}, FRESH, IMMEDIATE]) {
      expect(planFlagRead(failed(2_000), START_MS, need)).toBe("serve")
      expect(planFlagRead(failed(2_001), START_MS, need)).toBe("read_now")
    }
  })

  test("one refresh at a time, and a lost one is repeated", () => {
    expect(planFlagRead(memoryOf(9_000, { refreshingSinceMs: START_MS - 500 }), START_MS)).toBe("serve")
    expect(planFlagRead(memoryOf(9_000, { refreshingSinceMs: START_MS - 1_500 }), START_MS)).toBe("serve_and_refresh")
  })
})

describe("while Redis answers", () => {
  test("a flag that is not set has the configured default; features are off", async () => {
    const flags = await isolate().at(0)
    const on = (["SCHEDULER_ENABLED", "ROLLBACK_MODE", "BI_DASHBOARD_V2"] satisfies FlagName[]).map((name) =>
      flags.isOn(name, "any"),
    )
    expect(on).toEqual([true, false, false])
    expect([flags.source, flags.setOf("SCHEDULER_ENABLED")]).toEqual(["redis", null])
  })

  test("a warm isolate reads it once in five seconds, never Postgres, and no request waits", async () => {
    const { says, state, settled } = isolate()
    expect(await says(0)).toEqual([true, "redis", "redis"])
    state.redis = { set: QUIET, isComplete: true }
    for (const second of [1, 3, 5]) expect(await says(second)).toEqual([true, "redis", ""])
    expect(await says(6)).toEqual([true, "remembered", "redis"])
    await settled()
    expect(await says(7)).toEqual([false, "redis", ""])
  })

  test("work with effects sees a change within five seconds, also in an idle isolate", async () => {
    const { says, state } = isolate()
    await says(0)
    state.redis = { set: QUIET, isComplete: true }
    expect(await says(50, FRESH)).toEqual([false, "redis", "redis"])
  })

  test("the last check before an effect sees a change at once", async () => {
    const { says, state } = isolate()
    await says(0)
    state.redis = { set: QUIET, isComplete: true }
    expect(await says(0.001, FRESH)).toEqual([true, "redis", ""])
    expect(await says(0.001, IMMEDIATE)).toEqual([false, "redis", "redis"])
  })

  test("a change by this isolate takes effect at once", async () => {
    const { at, sources } = isolate()
    await at(0)
    rememberFlagChange(sources.memory, "NOTIFICATIONS_ENABLED", setTo({ ...ON, deny: ["a"] }))
    const flags = await at(1)
    expect([flags.isOn("NOTIFICATIONS_ENABLED", "a"), flags.isOn("NOTIFICATIONS_ENABLED", "b")]).toEqual([false, true])
    expect(flags.isOnForAll("NOTIFICATIONS_ENABLED")).toBe(false)
  })
})

describe("without Redis", () => {
  test("the copy is read, at most once in five seconds, and a change is seen within ten", async () => {
    const { says, state } = isolate()
    await says(0)
    state.isRedisDown = true
    state.copy = QUIET
    expect(await says(4, FRESH)).toEqual([true, "redis", ""])
    expect(await says(6, FRESH)).toEqual([false, "postgres", "redis copy"])
    state.copy = BACK
    expect(await says(7, FRESH)).toEqual([false, "postgres", ""])
    expect(await says(11, FRESH)).toEqual([false, "postgres", ""])
    expect(await says(11.5, FRESH)).toEqual([true, "postgres", "redis copy"])
  })

  test("the last check uses the copy of at most five seconds ago", async () => {
    const { says, state } = isolate()
    state.isRedisDown = true
    state.copy = QUIET
    expect(await says(0, IMMEDIATE)).toEqual([false, "postgres", "redis copy"])
    expect(await says(1, IMMEDIATE)).toEqual([false, "postgres", ""])
    expect(await says(3, IMMEDIATE)).toEqual([false, "postgres", "redis"])
  })

  test("a webhook does not wait: it uses the cache, and the copy is read in the background", async () => {
    const { says, state, settled } = isolate()
    await says(0)
    state.isRedisDown = true
    state.copy = QUIET
    expect(await says(6)).toEqual([true, "remembered", "redis"])
    await settled()
    expect(await says(7)).toEqual([false, "postgres", ""])
  })

  test("and without Postgres the last known value is used for a minute, then nobody is notified", async () => {
    const { at, says, state, settled } = isolate()
    state.redis = { set: { SCHEDULER_ENABLED: setTo(OFF) }, isComplete: true }
    await says(0)
    Object.assign(state, { isRedisDown: true, isCopyDown: true })
    expect(await says(30, FRESH)).toEqual([true, "remembered", "redis copy"])
    expect((await at(59)).isOn("SCHEDULER_ENABLED", "any")).toBe(false)
    await settled()
    expect(await says(63)).toEqual([false, "safe_default", "redis copy"])
    state.isRedisDown = false
    expect((await at(66)).source).toBe("redis")
  })

  test("and without Postgres a new isolate accepts and processes, and neither schedules nor notifies", async () => {
    const { at, says, state } = isolate()
    Object.assign(state, { isRedisDown: true, isCopyDown: true })
    expect(await says(0)).toEqual([false, "safe_default", "redis copy"])
    expect(await says(1)).toEqual([false, "safe_default", ""])
    const flags = await at(1)
    expect(flags.isOnForAll("WEBHOOK_PROCESSING_ENABLED")).toBe(true)
    expect(flags.isOffForAll("SCHEDULER_ENABLED")).toBe(true)
  })

  test("a copy that is older than the last value from Redis does not replace it", async () => {
    const { says, state } = isolate()
    state.redis = { set: { NOTIFICATIONS_ENABLED: setTo(OFF, 2) }, isComplete: true }
    state.copy = { NOTIFICATIONS_ENABLED: setTo(ON, 1) }
    await says(0)
    state.isRedisDown = true
    expect(await says(6, FRESH)).toEqual([false, "postgres", "redis copy"])
  })

  test("stores that hang delay a request by at most three quarters of a second", async () => {
    const { sources } = isolate()
    const hang = () => new Promise<never>(() => {})
    const startedAt = performance.now()
    const flags = await readFlags({ ...sources, readRedis: hang, readCopy: hang })
    expect(flags.source).toBe("safe_default")
    expect(performance.now() - startedAt).toBeLessThan(1_500)
  })
})

describe("a Redis", () => {
  test("that was unavailable is compared with the copy once, and gets the changes that it missed", async () => {
    const { says, state, settled } = isolate()
    await says(0)
    state.isRedisDown = true
    await says(6, FRESH)
    Object.assign(state, { isRedisDown: false, copy: QUIET })
    expect(await says(12, FRESH)).toEqual([false, "redis", "redis copy"])
    await settled()
    expect(state.filled).toEqual([QUIET])
    state.redis = { set: QUIET, isComplete: true }
    expect(await says(18, FRESH)).toEqual([false, "redis", "redis"])
  })

  test("that was emptied is restored from the copy, and its flags do not count as not set", async () => {
    const { says, state, settled } = isolate()
    Object.assign(state, { redis: { set: {}, isComplete: false }, copy: QUIET })
    expect(await says(0)).toEqual([false, "redis", "redis copy"])
    await settled()
    expect(state.filled).toEqual([QUIET])
  })

  test("that was emptied while Postgres is unavailable: the last known value is used, then the safe default", async () => {
    const { says, state } = isolate()
    await says(0)
    Object.assign(state, { redis: { set: {}, isComplete: false }, isCopyDown: true })
    expect(await says(6, FRESH)).toEqual([true, "remembered", "redis copy"])
    expect(await says(70, FRESH)).toEqual([false, "safe_default", "redis copy"])
  })

  test("that was emptied still has the flags set since", async () => {
    const { at, state } = isolate()
    const rollback: SetFlags = { ROLLBACK_MODE: setTo(ON) }
    Object.assign(state, { redis: { set: rollback, isComplete: false }, isCopyDown: true })
    const flags = await at(0, IMMEDIATE)
    expect([flags.isOn("ROLLBACK_MODE", "any"), flags.isOn("NOTIFICATIONS_ENABLED", "any")]).toEqual([true, false])
  })
})

test("of two stores the newest value of each flag wins, in any order; the change's id breaks a tie", () => {
  const older: SetFlags = { ROLLBACK_MODE: setTo(ON, 1), NOTIFICATIONS_ENABLED: setTo(OFF, 3) }
  const newer: SetFlags = { ROLLBACK_MODE: setTo(OFF, 2), SCHEDULER_ENABLED: setTo(OFF, 1) }
  const expected = {
    ROLLBACK_MODE: setTo(OFF, 2),
    NOTIFICATIONS_ENABLED: setTo(OFF, 3),
    SCHEDULER_ENABLED: setTo(OFF, 1),
  }
  expect(newest(older, newer)).toEqual(expected)
  expect(newest(newer, older)).toEqual(expected)
  const [one, other] = ["change_a", "change_b"].map((changeId) => ({ ROLLBACK_MODE: { ...setTo(ON), changeId } }))
  expect(newest(one ?? {}, other ?? {})).toEqual(other)
  expect(newest(other ?? {}, one ?? {})).toEqual(other)
})

describe("while no flag is set", () => {
  test.each(["staging", "production"] as const)("nothing has effects in %s before the launch", (environment) => {
    const defaults = flagDefaults(environment, {})
    for (const name of FLAG_NAMES) expect([name, isOffForAll(defaults[name])]).toEqual([name, true])
  })

  test("the local environment processes, schedules and notifies", () => {
    const on = FLAG_NAMES.filter((name) => isOnForAll(flagDefaults("local", {})[name]))
    expect(on).toEqual(["WEBHOOK_PROCESSING_ENABLED", "SCHEDULER_ENABLED", "NOTIFICATIONS_ENABLED"])
  })

  test("a variable overrides the default of its switch alone", () => {
    const defaults = flagDefaults("production", { WEBHOOK_PROCESSING_ENABLED: true, ROLLBACK_MODE: true })
    const on = FLAG_NAMES.filter((name) => isOnForAll(defaults[name]))
    expect(on).toEqual(["WEBHOOK_PROCESSING_ENABLED", "ROLLBACK_MODE"])
  })
})
