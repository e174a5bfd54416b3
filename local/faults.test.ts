import { afterEach, beforeEach, expect, test } from "vitest"
import { createFaults, type FaultMode, type FaultTarget, type Listening, serve, textReply } from "./faults.ts"

const faults = createFaults({ slowMs: 100, onTurnedAway: (target) => turnedAway.push(target) })
let effects: string[]
let turnedAway: string[]
let server: Listening

beforeEach(async () => {
  effects = []
  turnedAway = []
  server = await serve(undefined, (req, res) =>
    faults.intercept(req.url === "/qstash" ? "qstash" : "email", req, res, (body) => {
      effects.push(body.toString())
      if (body.toString() === "throw") throw new Error("a bug of the stand-in")
      return textReply("done", 202)
    }),
  )
})

afterEach(async () => {
  faults.clear()
  await server.stop()
})

async function ask(target: "email" | "qstash", body = "hello"): Promise<number | "no answer"> {
  const signal = AbortSignal.timeout(400)
  return fetch(`${server.url}/${target}`, { method: "POST", body, signal }).then(
    ({ status }) => status,
    () => "no answer",
  )
}

test.each<[FaultTarget & ("email" | "qstash"), FaultMode, number | "no answer", number]>([
  ["email", "off", 202, 1],
  ["email", "down", 503, 0],
  ["qstash", "down", "no answer", 0],
  ["email", "error", 500, 0],
  ["email", "hang", "no answer", 0],
  ["email", "slow", 202, 1],
  ["email", "drop", "no answer", 1],
])("%s %s: the client sees %s, effects: %i", async (target, mode, answer, effectCount) => {
  faults.set(target, mode)
  expect(await ask(target)).toBe(answer)
  expect(effects).toHaveLength(effectCount)
  expect(turnedAway).toEqual(effectCount === 0 ? [target] : [])
})

test("a fault affects only its target, until it is cleared", async () => {
  faults.set("email", "error")
  expect([await ask("qstash"), await ask("email")]).toEqual([202, 500])
  faults.clear()
  expect(await ask("email")).toBe(202)
})

test("clearing tells whether there was a fault since the last time", () => {
  const others = createFaults()
  expect(others.clear()).toBe(false)
  others.set("email", "down")
  others.set("email", "off")
  expect([others.clear(), others.clear()]).toEqual([true, false])
})

test("a local replacement that throws answers 500 and continues", async () => {
  expect([await ask("email", "throw"), await ask("email")]).toEqual([500, 202])
})
