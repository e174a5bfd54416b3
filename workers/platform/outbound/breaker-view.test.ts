import { expect, test } from "vitest"
import { type BreakerView, NO_CALLS, publishedView, publishView, viewOf, worseView } from "./breaker-view.ts"

const NOW = new Date("2026-03-01T10:00:00Z")
const OPEN: BreakerView = {
  state: "open",
  since: "2026-03-01T09:59:55.000Z",
  until: "2026-03-01T10:00:10.000Z",
  failures: 5,
  reason: "http_503",
}
const at = (seconds: number) => new Date(NOW.getTime() + seconds * 1_000)

function redis() {
  const values = new Map<string, string>()
  const seconds = new Map<string, number>()
  return {
    values,
    seconds,
    get: async (key: string) => values.get(key) ?? null,
    set: async (key: string, value: string, { ex }: { readonly ex: number }) => {
      values.set(key, value)
      seconds.set(key, ex)
    },
    del: async (key: string) => values.delete(key),
  }
}

test("another isolate reads what one publishes, until the breaker closes or the key expires", async () => {
  const store = redis()
  await publishView(store, "email", OPEN)
  expect(await publishedView(store, "email", NOW)).toEqual(OPEN)
  expect(await publishedView(store, "sms", NOW)).toEqual(NO_CALLS)
  expect(store.seconds.get("breaker:email")).toBe(600)
  await publishView(store, "email", { ...NO_CALLS, since: NOW.toISOString() })
  expect(await publishedView(store, "email", NOW)).toEqual(NO_CALLS)
  expect(store.values.size).toBe(0)
})

test("after the cool-down the next call is a probe, in this isolate and in others", async () => {
  const store = redis()
  await publishView(store, "email", OPEN)
  expect(await publishedView(store, "email", at(10))).toEqual({ ...OPEN, state: "half_open", until: null })
  const sinceMs = NOW.getTime()
  const state = {
    kind: "open",
    sinceMs,
    untilMs: sinceMs + 5_000,
    openings: 1,
    failures: 5,
    reason: "timeout",
  } as const
  expect([viewOf(state, at(4)).state, viewOf(state, at(5)).state, viewOf(state, at(-1)).state]).toEqual([
    "open",
    "half_open",
    "closed",
  ])
})

test.each(["", "{", "null", '{"state":"open"}', JSON.stringify({ ...OPEN, reason: "a@b.example" }), '"open"'])(
  "what cannot be read says nothing: %j",
  async (text) => {
    const store = redis()
    store.values.set("breaker:email", text)
    expect(await publishedView(store, "email", NOW)).toEqual(NO_CALLS)
  },
)

test("a view from after now is ignored", async () => {
  const store = redis()
  await publishView(store, "email", OPEN)
  expect(await publishedView(store, "email", at(-3600))).toEqual(NO_CALLS)
})

test("the worse of two views is used", () => {
  const half: BreakerView = { ...OPEN, state: "half_open" }
  expect([
    worseView(NO_CALLS, OPEN),
    worseView(OPEN, NO_CALLS),
    worseView(half, OPEN),
    worseView(NO_CALLS, half),
  ]).toEqual([OPEN, OPEN, OPEN, half])
})
