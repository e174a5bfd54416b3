import { describe, expect, test } from "vitest"
import {
  newSwitchMemory,
  planRead,
  readSetSwitches,
  readSwitches,
  remembered,
  type SetSwitches,
  type Switches,
  type SwitchMemory,
  type SwitchSources,
  setSwitch,
} from "./flags.ts"

const DEFAULTS: Switches = {
  WEBHOOK_PROCESSING_ENABLED: true,
  SCHEDULER_ENABLED: true,
  NOTIFICATIONS_ENABLED: true,
  ROLLBACK_MODE: false,
}
const SAFE: Switches = { ...DEFAULTS, NOTIFICATIONS_ENABLED: false }
const OFF: SetSwitches = { NOTIFICATIONS_ENABLED: false }

/** An isolate at second 1000, with a Redis that can be taken away. */
function isolate(changes: Partial<SwitchSources> = {}) {
  const state = { atMs: 1_000_000, set: {} as SetSwitches, isDown: false, reads: 0 }
  const background: Promise<unknown>[] = []
  const sources: SwitchSources = {
    memory: newSwitchMemory(),
    defaults: DEFAULTS,
    now: () => new Date(state.atMs),
    waitUntil: (work) => void background.push(work),
    read: async () => {
      state.reads += 1
      if (state.isDown) throw new Error("down")
      return state.set
    },
    ...changes,
  }
  const at = (seconds: number, isFreshNeeded = false) => {
    state.atMs = 1_000_000 + seconds * 1_000
    return readSwitches(sources, isFreshNeeded)
  }
  return { state, background, sources, at, settled: () => Promise.all(background) }
}

const memoryOf = (ageMs: number | null, changes: Partial<SwitchMemory> = {}): SwitchMemory => ({
  ...newSwitchMemory(),
  known: ageMs === null ? null : { set: OFF, atMs: 1_000_000 - ageMs },
  ...changes,
})

describe("the plan, by the age of what is remembered", () => {
  test.each([
    [0, "serve", "serve"],
    [5_000, "serve", "serve"],
    [5_001, "serve_and_refresh", "read_now"],
    [60_000, "serve_and_refresh", "read_now"],
    [60_001, "read_now", "read_now"],
    [-1, "read_now", "read_now"],
    [null, "read_now", "read_now"],
  ])("%s ms: %s, or %s for what has effects", (ageMs, usual, forEffects) => {
    expect(planRead(memoryOf(ageMs), 1_000_000)).toBe(usual)
    expect(planRead(memoryOf(ageMs), 1_000_000, true)).toBe(forEffects)
  })

  test("a failure a moment ago is not repeated by every request", () => {
    expect(planRead(memoryOf(null, { failedAtMs: 998_000 }), 1_000_000, true)).toBe("serve")
    expect(planRead(memoryOf(null, { failedAtMs: 997_999 }), 1_000_000, true)).toBe("read_now")
  })

  test("one refresh at a time, and one that was lost is made again", () => {
    expect(planRead(memoryOf(9_000, { refreshingSinceMs: 999_500 }), 1_000_000)).toBe("serve")
    expect(planRead(memoryOf(9_000, { refreshingSinceMs: 998_500 }), 1_000_000)).toBe("serve_and_refresh")
  })

  test("nothing is remembered for longer than a minute", () => {
    expect(remembered(memoryOf(60_000), DEFAULTS, 1_000_000)).toEqual({ switches: SAFE, source: "remembered" })
    expect(remembered(memoryOf(60_001), DEFAULTS, 1_000_000)).toBeNull()
  })
})

test("where nobody has set a switch the configured default holds", async () => {
  expect(await isolate().at(0)).toEqual({ switches: DEFAULTS, source: "redis" })
})

test("a warm isolate asks Redis once in five seconds, and never makes a request wait", async () => {
  const { at, state, settled } = isolate()
  await at(0)
  state.set = OFF
  for (const second of [1, 3, 5]) expect((await at(second)).switches).toEqual(DEFAULTS)
  expect(state.reads).toBe(1)
  expect((await at(6)).switches).toEqual(DEFAULTS)
  await settled()
  expect(state.reads).toBe(2)
  expect(await at(7)).toEqual({ switches: SAFE, source: "redis" })
})

test("what has effects learns of a switch within five seconds, however long the isolate slept", async () => {
  const { at, state } = isolate()
  await at(0)
  state.set = { ROLLBACK_MODE: true }
  expect((await at(50, true)).switches.ROLLBACK_MODE).toBe(true)
})

test("without Redis the last known value holds for a minute, then nobody is notified", async () => {
  const { at, state, settled } = isolate()
  state.set = { SCHEDULER_ENABLED: false }
  await at(0)
  state.isDown = true
  expect(await at(30, true)).toEqual({ switches: { ...DEFAULTS, SCHEDULER_ENABLED: false }, source: "remembered" })
  expect((await at(60)).source).toBe("remembered")
  await settled()
  expect(await at(63)).toEqual({ switches: SAFE, source: "safe_default" })
  state.isDown = false
  expect((await at(66)).source).toBe("redis")
})

test("a fresh isolate without Redis stores and schedules, and notifies nobody", async () => {
  const { at, state } = isolate()
  state.isDown = true
  expect(await at(0)).toEqual({ switches: SAFE, source: "safe_default" })
  expect(await at(1)).toEqual({ switches: SAFE, source: "safe_default" })
  expect(state.reads).toBe(1)
})

test("a Redis that hangs holds nobody for longer than a quarter of a second", async () => {
  const startedAt = performance.now()
  expect((await isolate({ read: () => new Promise(() => {}) }).at(0)).source).toBe("safe_default")
  expect(performance.now() - startedAt).toBeLessThan(1_000)
})

test("switches lie in Redis under their names, as true or false", async () => {
  const stored = new Map<string, string>()
  const redis = {
    mget: async <Values extends unknown[]>(...keys: string[]) => keys.map((key) => stored.get(key) ?? null) as Values,
    set: async (key: string, value: string) => stored.set(key, value),
  }
  expect(await readSetSwitches(redis)).toEqual({})
  await setSwitch(redis, "NOTIFICATIONS_ENABLED", false)
  await setSwitch(redis, "ROLLBACK_MODE", true)
  expect([...stored]).toEqual([
    ["switch:NOTIFICATIONS_ENABLED", "false"],
    ["switch:ROLLBACK_MODE", "true"],
  ])
  stored.set("switch:SCHEDULER_ENABLED", "maybe")
  expect(await readSetSwitches(redis)).toEqual({ NOTIFICATIONS_ENABLED: false, ROLLBACK_MODE: true })
})
