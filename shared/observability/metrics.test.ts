import { expect, test } from "vitest"
import { addCounts, areaOf, EMPTY_COUNTS, minuteOf, RequestCounter, ratioOf, summarizeRequests } from "./metrics.ts"

const AT = Date.parse("2026-03-01T10:00:30Z")
const NOW = minuteOf(AT)

test.each([
  ["/api/webhooks/stripe", "webhooks"],
  ["/api/webhooks/whop/acme", "webhooks"],
  ["/jobs/sweep", "jobs"],
  ["/r/token", "links"],
  ["/unsubscribe/token", "links"],
  ["/api/cases", "api"],
  ["/api/healthy", "api"],
  ["/api/health", null],
  ["/api/health/db", null],
  ["/api/scheduler/reminders", null],
  ["/", null],
  ["/thanks", null],
])("%s counts as %s", (path, area) => {
  expect(areaOf(path)).toBe(area)
})

test("requests are summed by area; 5xx are errors, 4xx are counted separately", () => {
  const tally = new RequestCounter(10)
  for (const [status, ms] of [
    [200, 10],
    [404, 20],
    [499, 30],
    [500, 40],
    [503, 50],
  ] as const) {
    tally.count("api", status, ms, AT)
  }
  tally.count("jobs", 200, 9_000, AT)
  expect(summarizeRequests(tally.sum(NOW, NOW))).toEqual({
    requests: 4,
    errorRate: 2 / 4,
    meanResponseMs: 33.3,
    areas: {
      webhooks: { requests: 0, refused: 0, errors: 0, meanResponseMs: null },
      api: { requests: 3, refused: 2, errors: 2, meanResponseMs: 33.3 },
      jobs: { requests: 1, refused: 0, errors: 0, meanResponseMs: 9_000 },
      links: { requests: 0, refused: 0, errors: 0, meanResponseMs: null },
    },
  })
})

test("a window holds its minutes and no others", () => {
  const tally = new RequestCounter(100)
  for (let minute = -20; minute <= 20; minute++) tally.count("api", 200, 1, AT + minute * 60_000)
  expect(tally.sum(NOW - 15, NOW).api.requests).toBe(16)
})

test("counts are taken once, and can be added again", () => {
  const tally = new RequestCounter(10)
  tally.count("links", 302, 5, AT)
  const taken = tally.take()
  expect(tally.sum(0, NOW)).toEqual(EMPTY_COUNTS)
  tally.count("links", 302, 7, AT)
  for (const [minute, counts] of taken) tally.add(minute, counts)
  expect(tally.sum(NOW, NOW).links).toEqual({ requests: 2, refused: 0, errors: 0, durationMs: 12 })
})

test("refolds are counted by kind, with their facts, beside the requests of the minute", () => {
  const tally = new RequestCounter(10)
  tally.count("webhooks", 200, 5, AT)
  tally.countRefold({ isWhole: true, facts: 40 }, AT)
  tally.countRefold({ isWhole: false, facts: 3 }, AT)
  expect(tally.sum(NOW, NOW)).toMatchObject({
    webhooks: { requests: 1 },
    refolds: { whole: 1, lastSecond: 1, facts: 43 },
  })
  expect(tally.sum(NOW + 1, NOW + 1)).toEqual(EMPTY_COUNTS)
})

test("without collection for a year only the last minutes are kept", () => {
  const tally = new RequestCounter(120)
  for (let minute = 0; minute < 365 * 24 * 60; minute += 7) tally.count("api", 200, 1, AT + minute * 60_000)
  const held = [...tally.take().keys()]
  expect(held).toHaveLength(120)
  expect(Math.min(...held)).toBe(Math.max(...held) - 119 * 7)
})

test("a clock that goes back during a request does not reduce the duration", () => {
  const tally = new RequestCounter(10)
  tally.count("api", 200, -5_000, AT)
  expect(tally.sum(NOW, NOW).api.durationMs).toBe(0)
})

test("a ratio with a zero denominator is null", () => {
  expect([ratioOf(0, 0), ratioOf(0, 2), ratioOf(2, 2)]).toEqual([null, 0, 1])
  expect(summarizeRequests(EMPTY_COUNTS)).toMatchObject({ requests: 0, errorRate: null, meanResponseMs: null })
  expect(addCounts(EMPTY_COUNTS, EMPTY_COUNTS)).toEqual(EMPTY_COUNTS)
})
