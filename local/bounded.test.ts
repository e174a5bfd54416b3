import { expect, test } from "vitest"
import { bounded } from "./bounded.ts"

const never = new AbortController().signal
const deaf = () => new Promise<string>(() => undefined)

test("a call that answers is its answer, and one that fails its error", async () => {
  expect(await bounded({ ms: 1_000, signal: never }, async () => "answer")).toBe("answer")
  await expect(bounded({ ms: 1_000, signal: never }, () => Promise.reject(new Error("refused")))).rejects.toThrow(
    "refused",
  )
})

test("a call that heeds no signal ends when its time is over, when nobody waits, and when nobody ever did", async () => {
  await expect(bounded({ ms: 10, signal: never }, deaf)).rejects.toThrow("no answer in time")
  const cut = new AbortController()
  const call = bounded({ ms: 60_000, signal: cut.signal }, deaf)
  cut.abort(new Error("cut"))
  await expect(call).rejects.toThrow("cut")
  await expect(bounded({ ms: 60_000, signal: cut.signal }, deaf)).rejects.toThrow("cut")
})

test("a call hears that its time is over", async () => {
  const heard: unknown[] = []
  const listens = (signal: AbortSignal) =>
    new Promise((_, reject) => {
      signal.addEventListener("abort", () => {
        heard.push(signal.reason)
        reject(signal.reason)
      })
    })
  await expect(bounded({ ms: 10, signal: never }, listens)).rejects.toThrow("no answer in time")
  expect(heard).toMatchObject([{ name: "TimeoutError" }])
})
