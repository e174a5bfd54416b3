import { afterEach, beforeEach, expect, test, vi } from "vitest"
import { ConcurrencyLimit } from "./concurrency-limit.ts"
import { waitForSignal } from "./waiting-requests.ts"

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

const BOUNDS = { max: 2, workMsMax: 20_000, waitMsMax: 10_000 }

const pass = (ms = 0) => vi.advanceTimersByTimeAsync(ms)

/** A request: its name once it is at work, and what ends it. */
interface FakeRequest {
  leave: (() => void) | null
}

function limit(isOpen?: () => boolean, bounds = BOUNDS) {
  const places = new ConcurrencyLimit(bounds)
  const enter = (): FakeRequest => {
    const request: FakeRequest = { leave: null }
    places.enter(waitForSignal, isOpen).then((leave) => {
      request.leave = leave
    })
    return request
  }
  /** A request that ends while it waits: none of its code runs again. */
  const enterAndEnd = () => {
    const never = new Promise<never>(() => {})
    void places.enter(() => never, isOpen)
  }
  return { enter, enterAndEnd }
}

const areAtWork = (requests: readonly FakeRequest[]) => requests.map(({ leave }) => leave !== null)

test("a request that finds a place does not wait and sets no timer", async () => {
  const { enter } = limit()
  const requests = [enter(), enter()]
  await pass()
  expect(areAtWork(requests)).toEqual([true, true])
  expect(vi.getTimerCount()).toBe(0)
})

test("others wait, and begin in the order of their arrival when places are free", async () => {
  const { enter } = limit()
  const [first, second, third, fourth] = [enter(), enter(), enter(), enter()]
  await pass(3_000)
  expect(areAtWork([third, fourth])).toEqual([false, false])
  first.leave?.()
  await pass()
  expect(areAtWork([third, fourth])).toEqual([true, false])
  const late = enter()
  second.leave?.()
  await pass()
  expect(areAtWork([fourth, late])).toEqual([true, false])
  third.leave?.()
  await pass()
  expect(areAtWork([late])).toEqual([true])
  expect(vi.getTimerCount()).toBe(0)
})

test("a request that ends while it waits does not keep its place in the queue", async () => {
  const { enter, enterAndEnd } = limit()
  const [first, second] = [enter(), enter()]
  enterAndEnd()
  const next = enter()
  await pass()
  first.leave?.()
  await pass(100)
  expect(areAtWork([next])).toEqual([true])
  second.leave?.()
})

test("requests that ended while they waited do not keep others waiting", async () => {
  const { enter, enterAndEnd } = limit()
  const [first, second] = [enter(), enter()]
  for (let index = 0; index < 8; index++) enterAndEnd()
  await pass()
  first.leave?.()
  second.leave?.()
  await pass(1_000)
  const next = enter()
  await pass(2_000)
  expect(areAtWork([next])).toEqual([true])
})

test("a request that ends at work frees its place after a while", async () => {
  const { enter } = limit(() => false, { ...BOUNDS, waitMsMax: 60_000 })
  enter()
  enter()
  const next = enter()
  await pass(BOUNDS.workMsMax - 100)
  expect(areAtWork([next])).toEqual([false])
  await pass(200)
  expect(areAtWork([next])).toEqual([true])
})

test("a request that arrives does not overtake one whose turn it is", async () => {
  const { enter } = limit()
  const [first] = [enter(), enter()]
  const waiting = enter()
  await pass()
  first.leave?.()
  const late = enter()
  await pass()
  expect(areAtWork([waiting, late])).toEqual([true, false])
})

test("nobody waits for longer than the bound, or while there is no limit", async () => {
  const patient = limit()
  const all = [patient.enter(), patient.enter(), patient.enter()]
  await pass(BOUNDS.waitMsMax - 100)
  expect(areAtWork(all)).toEqual([true, true, false])
  await pass(200)
  expect(areAtWork(all)).toEqual([true, true, true])

  let isOpen = false
  const open = limit(() => isOpen)
  const others = [open.enter(), open.enter(), open.enter()]
  await pass(1_000)
  expect(areAtWork(others)).toEqual([true, true, false])
  isOpen = true
  await pass(1_000)
  expect(areAtWork(others)).toEqual([true, true, true])
  const another = open.enter()
  await pass()
  expect(areAtWork([another])).toEqual([true])
})
