import { expect, test } from "vitest"
import { parseCron } from "./cron.ts"
import { defaultRetryDelayMs, evaluateRetryDelayMs, requestedRetryDelayMs } from "./retry-delay.ts"

test.each([
  ["*/5 * * * *", "2026-03-01T10:02:30Z", "2026-03-01T10:05:00.000Z"],
  ["*/5 * * * *", "2026-03-01T10:05:00Z", "2026-03-01T10:10:00.000Z"],
  ["0 0 1 * *", "2026-12-31T23:59:00Z", "2027-01-01T00:00:00.000Z"],
  ["30 9 * * mon-fri", "2026-03-06T10:00:00Z", "2026-03-09T09:30:00.000Z"],
  ["0 0 13 * 5", "2026-03-01T00:00:00Z", "2026-03-06T00:00:00.000Z"],
  ["0 12 29 2 *", "2026-03-01T00:00:00Z", "2028-02-29T12:00:00.000Z"],
  ["0 0 * * 7", "2026-03-02T00:00:00Z", "2026-03-08T00:00:00.000Z"],
  ["CRON_TZ=Europe/Berlin 0 9 * * *", "2026-07-01T08:00:00Z", "2026-07-02T07:00:00.000Z"],
  ["CRON_TZ=Asia/Kolkata 15 9 * * *", "2026-07-01T00:00:00Z", "2026-07-01T03:45:00.000Z"],
  ["CRON_TZ=America/New_York 30 2 * * *", "2026-03-08T05:00:00Z", "2026-03-09T06:30:00.000Z"],
])("%s after %s is %s", (expression, after, next) => {
  expect(parseCron(expression).next(new Date(after)).toISOString()).toBe(next)
})

test.each(["* * * *", "60 * * * *", "* * 0 * *", "*/0 * * * *", "5-1 * * * *", "a * * * *", "* * * * 8"])(
  "%s is refused",
  (expression) => {
    expect(() => parseCron(expression)).toThrow(/cron/)
  },
)

test("a day that never occurs is an error, not an endless search", () => {
  expect(() => parseCron("0 0 31 2 *").next(new Date())).toThrow(/never/)
})

test("the default delays are the documented ones", () => {
  expect([1, 2, 3, 4, 5, 6].map(defaultRetryDelayMs)).toEqual([
    12_000, 148_000, 1_808_000, 22_026_000, 86_400_000, 86_400_000,
  ])
})

test.each([
  ["1000", 0, 1_000],
  ["1000 * (1 + retried)", 2, 3_000],
  ["pow(2, retried) * 1000", 3, 8_000],
  ["max(10, pow(2, retried))", 1, 10],
  ["min(1, 2, 3) + ceil(0.2) - floor(1.9) + round(2.5)", 0, 4],
  ["abs(-4) * sqrt(9) / 2", 0, 6],
  ["exp(0)", 0, 1],
  ["-5", 0, 0],
  ["1/0", 0, 86_400_000],
])("%s at retry %d is %d ms", (expression, retried, ms) => {
  expect(evaluateRetryDelayMs(expression, retried)).toBe(ms)
})

test.each(["", "1 +", "foo(1)", "1 2", "constructor", "pow(1)", "(1", "1; 2", "retried()", "0/0"])(
  "%j is refused",
  (expression) => {
    expect(() => evaluateRetryDelayMs(expression, 0)).toThrow()
  },
)

test.each([
  ["retry-after", "120", 120_000],
  ["retry-after", "Thu, 01 Jan 2026 00:01:00 GMT", 60_000],
  ["x-ratelimit-reset", "6m5s", 365_000],
  ["retry-after", "999999999", 86_400_000],
  ["retry-after", "soon", null],
])("a receiver that says %s: %s is asked again after %s ms", (name, value, ms) => {
  expect(requestedRetryDelayMs(new Headers({ [name]: value }), new Date("2026-01-01T00:00:00Z"))).toBe(ms)
})
