/** Group calls with a simulated clock and ending requests. Over 300 lines because all tests share that simulation. */
import fc from "fast-check"
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"
import { GroupCalls, type GroupMember, type GroupOutcome } from "./group-calls.ts"
import { waitForSignal } from "./waiting-requests.ts"

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

const BOUNDS = {
  itemsMax: 4,
  bytes: { max: 100, of: (item: string) => item.length },
  callsMax: 2,
  slowAfterMs: 500,
  queueMsMax: 1_500,
  queueMsMaxAfterFailure: 700,
}
const CALL_MS_MAX = 2_000

/** A database behind calls: each call ends when the test ends it. */
class Calls {
  readonly made: { readonly items: readonly string[]; end(): void; fail(error?: Error): void }[] = []

  readonly make = (items: readonly string[]): Promise<readonly string[]> =>
    new Promise((resolve, reject) => {
      const end = () => resolve(items.map((item) => `result of ${item}`))
      this.made.push({ items, end, fail: (error = new Error("refused")) => reject(error) })
    })

  get groups(): readonly (readonly string[])[] {
    return this.made.map(({ items }) => items)
  }
}

/** A request of the isolate; one that has ended runs no more code, whatever is resolved. */
class FakeRequest implements GroupMember<string, string> {
  readonly callMsMax = CALL_MS_MAX
  readonly kept: Promise<unknown>[] = []
  outcome: GroupOutcome<string> | null = null
  error: unknown
  hasEnded = false
  waits = 0
  readonly #calls: Calls

  endNow(): void {
    this.hasEnded = true
  }

  constructor(calls: Calls) {
    this.#calls = calls
  }

  readonly call = async (items: readonly string[]) => {
    const results = await this.#calls.make(items)
    return this.hasEnded ? never : results
  }
  readonly waitFor = async (signal: Promise<void>, limitMs: number) => {
    this.waits += 1
    await waitForSignal(signal, limitMs)
    if (this.hasEnded) await never
  }
  readonly waitUntil = (work: Promise<unknown>) => void this.kept.push(work)

  /** Its result, or why there is none; null: it still waits. */
  get result(): string | null {
    return this.outcome?.kind === "done" ? this.outcome.result : (this.outcome?.kind ?? null)
  }
}

const never = new Promise<never>(() => {})

function isolate(bounds = BOUNDS) {
  const calls = new Calls()
  const groups = new GroupCalls<string, string>(bounds)
  const send = (item: string, key = "a company"): FakeRequest => {
    const request = new FakeRequest(calls)
    groups.run(key, item, request).then(
      (outcome) => {
        request.outcome = outcome
      },
      (error: unknown) => {
        request.error = error
      },
    )
    return request
  }
  return { calls, groups, send }
}

const pass = (ms = 0) => vi.advanceTimersByTimeAsync(ms)

/** Ends the calls that are in flight, one after the other, until there are none. */
async function endAll(calls: Calls) {
  for (let place = 0; place < calls.made.length; place++) {
    calls.made[place]?.end()
    await pass()
  }
}

test("a single request calls at once, waits for nobody and sets no timer", async () => {
  const { calls, groups, send } = isolate()
  const request = send("one")
  expect(calls.groups).toEqual([["one"]])
  expect(vi.getTimerCount()).toBe(0)
  calls.made[0]?.end()
  await pass()
  expect(request.result).toBe("result of one")
  expect(groups.isIdle("a company")).toBe(true)
})

test("requests that arrive during a call are in the next one together, in the order of their arrival", async () => {
  const { calls, groups, send } = isolate()
  const requests = ["one", "two", "three"].map((item) => send(item))
  let isIdle = false
  const limits = { limitMs: 60_000, waitingMax: 1 }
  groups.waitUntilIdle("a company", limits, waitForSignal).then(() => {
    isIdle = true
  })
  // Beside one that waits already, a second does not wait.
  await groups.waitUntilIdle("a company", limits, waitForSignal)
  calls.made[0]?.end()
  await pass()
  expect(isIdle).toBe(false)
  await endAll(calls)
  expect(isIdle).toBe(true)
  expect(calls.groups).toEqual([["one"], ["two", "three"]])
  expect(requests.map(({ result }) => result)).toEqual(["result of one", "result of two", "result of three"])
  expect(vi.getTimerCount()).toBe(0)
})

test("the same item twice in a group gets two results", async () => {
  const { calls, send } = isolate()
  const requests = ["one", "two", "two"].map((item) => send(item))
  await endAll(calls)
  expect(calls.groups[1]).toEqual(["two", "two"])
  expect(requests.every(({ result }) => typeof result === "string")).toBe(true)
})

test("calls of two keys do not wait for each other", async () => {
  const { calls, send } = isolate()
  send("one", "a")
  send("two", "b")
  send("three", "a")
  expect(calls.groups).toEqual([["one"], ["two"]])
  await endAll(calls)
  expect(calls.groups[2]).toEqual(["three"])
})

test("a group has at most so many items and bytes, and one item may have more bytes than that", async () => {
  const { calls, send } = isolate({ ...BOUNDS, callsMax: 1 })
  const items = ["first", "x".repeat(150), "y".repeat(60), "z".repeat(60), "1", "2", "3", "4"]
  const requests = items.map((item) => send(item))
  await endAll(calls)
  expect(calls.groups.map((group) => group.map((item) => item.slice(0, 1)))).toEqual([
    ["f"],
    ["x"],
    ["y"],
    ["z", "1", "2", "3"],
    ["4"],
  ])
  expect(requests.every(({ result }) => typeof result === "string")).toBe(true)
})

test("each request leads at most one call", async () => {
  const { calls, groups, send } = isolate()
  const made = new Map<FakeRequest, number>()
  for (let index = 0; index < 50; index++) {
    const request = send(`${index}`)
    const before = request.call
    Object.assign(request, {
      call: (items: readonly string[]) => {
        made.set(request, (made.get(request) ?? 0) + 1)
        return before(items)
      },
    })
  }
  await endAll(calls)
  expect(Math.max(...made.values())).toBe(1)
  expect(calls.groups.flat()).toHaveLength(50)
  expect(groups.isIdle("a company")).toBe(true)
})

describe("a call that fails", () => {
  test("for one item throws its error", async () => {
    const { calls, send } = isolate()
    const request = send("one")
    calls.made[0]?.fail(new Error("poison"))
    await pass()
    expect(request.error).toEqual(new Error("poison"))
  })

  test("for a group has no result for any of them, and all learn why", async () => {
    const { calls, send } = isolate()
    const first = send("one")
    const group = ["two", "poison"].map((item) => send(item))
    calls.made[0]?.end()
    await pass()
    const error = new Error("refused")
    calls.made[1]?.fail(error)
    await pass()
    expect(first.result).toBe("result of one")
    expect(group.map(({ outcome }) => outcome)).toEqual(group.map(() => ({ kind: "failed", error })))
    send("four")
    expect(calls.groups[2]).toEqual(["four"])
  })
})

describe("a request that ends", () => {
  test("with the turn: another takes over, with its item", async () => {
    const { calls, send } = isolate()
    send("one")
    const second = send("two")
    const third = send("three")
    second.endNow()
    calls.made[0]?.end()
    await pass(200)
    await endAll(calls)
    expect(calls.groups).toEqual([["one"], ["three", "two"]])
    expect(third.result).toBe("result of three")
  })

  test("with the turn, and the next one as well: the third takes over", async () => {
    const { calls, send } = isolate()
    send("one")
    const [second, third, fourth] = ["two", "three", "four"].map((item) => send(item))
    for (const request of [second, third]) request?.endNow()
    calls.made[0]?.end()
    await pass(200)
    await endAll(calls)
    expect(calls.groups).toEqual([["one"], ["four", "two", "three"]])
    expect(fourth?.result).toBe("result of four")
  })

  test("in its call: those in the call wait for its time, those in the queue call beside it before", async () => {
    const { calls, send } = isolate()
    send("one")
    const leader = send("two")
    const inGroup = send("three")
    calls.made[0]?.end()
    await pass()
    expect(calls.groups[1]).toEqual(["two", "three"])
    leader.endNow()
    const queued = send("four")
    await pass(BOUNDS.slowAfterMs + 100)
    expect(calls.groups[2]).toEqual(["four"])
    calls.made[2]?.end()
    await pass()
    expect(queued.result).toBe("result of four")
    expect(inGroup.result).toBeNull()
    await pass(CALL_MS_MAX)
    expect(inGroup.result).toBe("late")
  })

  test("in its call, with nobody waiting: a request after a while does not wait", async () => {
    const { calls, groups, send } = isolate()
    send("one").endNow()
    await pass(60_000)
    expect(groups.isIdle("a company")).toBe(true)
    send("two")
    expect(calls.groups[1]).toEqual(["two"])
  })

  test("with its item in the queue: the item is called with the others", async () => {
    const { calls, send } = isolate()
    send("one")
    send("two")
    send("three").endNow()
    await endAll(calls)
    expect(calls.groups[1]).toEqual(["two", "three"])
  })
})

test("the work of every request is kept when its client disconnects", async () => {
  const { calls, send } = isolate()
  const requests = ["one", "two"].map((item) => send(item))
  expect(requests.map(({ kept }) => kept.length)).toEqual([1, 1])
  calls.made[0]?.fail()
  await endAll(calls)
  const done = { kind: "done", result: "result of two" }
  expect(await Promise.all(requests.flatMap(({ kept }) => kept))).toEqual([undefined, done])
})

test("a slow call holds nobody up, and its late results are still delivered", async () => {
  const { calls, send } = isolate()
  const slow = send("one")
  const waiting = ["two", "three"].map((item) => send(item))
  await pass(BOUNDS.slowAfterMs + 100)
  expect(calls.groups).toEqual([["one"], ["two", "three"]])
  calls.made[1]?.end()
  await pass()
  expect(waiting.map(({ result }) => result)).toEqual(["result of two", "result of three"])
  calls.made[0]?.end()
  await pass()
  expect(slow.result).toBe("result of one")
})

test("when a whole group waits it is called beside the call in flight, but not beside too many", async () => {
  const { calls, send } = isolate()
  for (let index = 0; index < 13; index++) send(`${index}`)
  expect(calls.groups.map(({ length }) => length)).toEqual([1, 4])
  calls.made[1]?.end()
  await pass()
  expect(calls.groups.map(({ length }) => length)).toEqual([1, 4, 4])
})

test("who waits too long for a call stops waiting, and is in none", async () => {
  const { calls, send } = isolate()
  for (let index = 0; index < 5; index++) send(`${index}`)
  const late = send("late")
  await pass(BOUNDS.queueMsMax - 100)
  expect(late.result).toBeNull()
  await pass(200)
  expect(late.result).toBe("late")
  await endAll(calls)
  expect(calls.groups.flat()).not.toContain("late")
})

test("a long queue costs little: who is far back looks rarely, and who is in a call as well", async () => {
  const { calls, send } = isolate({ ...BOUNDS, bytes: { max: 1_000, of: () => 1 }, itemsMax: 100, callsMax: 1 })
  const [first, ...others] = Array.from({ length: 601 }, (_, index) => send(`${index}`))
  const waitsOf = (requests: readonly FakeRequest[]) => requests.reduce((sum, { waits }) => sum + waits, 0)
  await pass(450)
  expect(first?.waits).toBe(0)
  expect(others[0]?.waits).toBe(10)
  expect(waitsOf(others.slice(100))).toBeLessThan(1.2 * 500)
  calls.made[0]?.end()
  await pass()
  const inCall = others.slice(0, 100)
  expect(calls.groups[1]).toHaveLength(100)
  // Each had set a timer in the queue.
  await pass(700)
  const before = waitsOf(inCall)
  await pass(1_000)
  expect(waitsOf(inCall) - before).toBeLessThanOrEqual(2 * inCall.length)
  await endAll(calls)
  expect(inCall.every(({ result }) => result?.startsWith("result"))).toBe(true)
})

test("after a call that failed nobody waits as long", async () => {
  const { calls, send } = isolate({ ...BOUNDS, callsMax: 1 })
  send("one")
  const early = send("early")
  await pass(600)
  const next = send("next")
  await pass(300)
  calls.made[0]?.fail()
  await pass(100)
  expect([early.result, next.result]).toEqual(["late", null])
  expect(calls.groups).toEqual([["one"], ["next"]])
})

describe("an isolate that is busy for longer than all limits", () => {
  const LATE_MS = 10 * BOUNDS.queueMsMax

  test("calls for those that wait, rather than give them up", async () => {
    const { calls, send } = isolate()
    send("one")
    const waiting = ["two", "three"].map((item) => send(item))
    vi.setSystemTime(Date.now() + LATE_MS)
    await pass(60)
    expect(calls.groups).toEqual([["one"], ["two", "three"]])
    await endAll(calls)
    expect(waiting.map(({ result }) => result)).toEqual(["result of two", "result of three"])
  })

  test("takes the results of a call that are there", async () => {
    const { calls, send } = isolate()
    send("one")
    const group = ["two", "three"].map((item) => send(item))
    calls.made[0]?.end()
    await pass()
    vi.setSystemTime(Date.now() + LATE_MS)
    await pass(CALL_MS_MAX / 4)
    expect(group[1]?.result).toBeNull()
    calls.made[1]?.end()
    await pass()
    expect(group.map(({ result }) => result)).toEqual(["result of two", "result of three"])
  })

  test("while calls fail, it gives up those that have waited too long, before the call as well", async () => {
    const { calls, groups, send } = isolate({ ...BOUNDS, callsMax: 1 })
    send("one")
    const waiting = send("two")
    calls.made[0]?.end()
    await pass()
    calls.made[1]?.fail()
    const next = send("three")
    await pass()
    expect([waiting.error, next.result]).toEqual([new Error("refused"), null])
    const late = new FakeRequest(calls)
    expect(groups.isFailing).toBe(true)
    const outcome = await groups.run("a company", "four", Object.assign(late, { waitedMs: LATE_MS }))
    expect(outcome).toEqual({ kind: "late" })
  })
})

test("a clock that goes back does not keep anybody waiting", async () => {
  const { calls, send } = isolate()
  send("one").endNow()
  vi.setSystemTime(Date.now() - 600_000)
  send("two")
  expect(calls.groups[1]).toEqual(["two"])
})

test("whatever ends and fails: every request that goes on gets an answer, and what has a result was in a call", async () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("send" as const), key: fc.constantFrom("a", "b") }),
    fc.record({ kind: fc.constant("end" as const), place: fc.nat(40) }),
    fc.record({ kind: fc.constantFrom("succeed" as const, "fail" as const), place: fc.nat(40) }),
    fc.record({ kind: fc.constant("pass" as const), ms: fc.nat(700) }),
  )
  const play = async (steps: readonly (typeof step extends fc.Arbitrary<infer Step> ? Step : never)[]) => {
    const { calls, send } = isolate()
    const requests: FakeRequest[] = []
    for (const one of steps) {
      if (one.kind === "send") requests.push(send(`${requests.length}`, one.key))
      else if (one.kind === "end") requests[one.place]?.endNow()
      else if (one.kind === "succeed") calls.made[one.place]?.end()
      else if (one.kind === "fail") calls.made[one.place]?.fail()
      await pass(one.kind === "pass" ? one.ms : 0)
    }
    // Every call ends at last, and then every request has its answer.
    for (let round = 0; round < 30; round++) {
      for (const made of calls.made) made.end()
      await pass(300)
    }
    const called = new Set(calls.groups.flat())
    for (const [index, { hasEnded, outcome, error }] of requests.entries()) {
      if (hasEnded) continue
      expect(outcome !== null || error !== undefined).toBe(true)
      if (outcome?.kind !== "late") expect(called.has(`${index}`)).toBe(true)
    }
  }
  await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 60 }), play), { numRuns: 200 })
})
