import { expect, test } from "vitest"
import { withDeadline } from "./with-deadline.ts"

const never = new AbortController().signal
const neverEnds = () => new Promise<string>(() => undefined)

test("returns the call's result, or throws its error", async () => {
  expect(await withDeadline({ ms: 1_000, signal: never }, async () => "answer")).toBe("answer")
  await expect(withDeadline({ ms: 1_000, signal: never }, () => Promise.reject(new Error("refused")))).rejects.toThrow(
    "refused",
  )
})

test("a call that ignores its signal ends at the deadline, on abort, and with an aborted signal", async () => {
  await expect(withDeadline({ ms: 10, signal: never }, neverEnds)).rejects.toThrow("no answer in time")
  const cut = new AbortController()
  const call = withDeadline({ ms: 60_000, signal: cut.signal }, neverEnds)
  cut.abort(new Error("cut"))
  await expect(call).rejects.toThrow("cut")
  await expect(withDeadline({ ms: 60_000, signal: cut.signal }, neverEnds)).rejects.toThrow("cut")
})

test("the call's signal is aborted at the deadline", async () => {
  const reasons: unknown[] = []
  const listens = (signal: AbortSignal) =>
    new Promise((_, reject) => {
      signal.addEventListener("abort", () => {
        reasons.push(signal.reason)
        reject(signal.reason)
      })
    })
  await expect(withDeadline({ ms: 10, signal: never }, listens)).rejects.toThrow("no answer in time")
  expect(reasons).toMatchObject([{ name: "TimeoutError" }])
})
