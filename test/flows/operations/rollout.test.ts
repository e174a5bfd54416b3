/** A launch of the real Worker: command, flags and metrics together. */
import { afterEach, beforeEach, expect, test } from "vitest"
import { rollout } from "../../../ops/rollout/command.ts"
import { fresh, invoiceEvent, sendStripe } from "../../support/events/providers.ts"
import {
  advanceClock,
  api,
  mailbox,
  reset,
  setFault,
  waitUntilProcessed,
  world,
  worldNow,
} from "../../support/world/world.ts"

beforeEach(async () => {
  await reset()
  // Errors of other flows are in earlier minutes.
  await advanceClock("PT1H")
  await expireFlags()
})
afterEach(async () => {
  for (const target of ["redis", "postgres", "email"]) await setFault(target, "off")
  await run("dark-launch")
  await putFlag("SCHEDULER_ENABLED", 100)
  await putFlag("NOTIFICATIONS_ENABLED", 100)
  await expireFlags()
})

/** The isolate's cached flags expire. */
const expireFlags = () => advanceClock("PT15S")

async function run(...args: string[]) {
  let out = ""
  const code = await rollout([...args, "--url", world().workerUrl, "--key", world().adminApiKey], {
    out: (text) => {
      out += text
    },
    err: () => {},
  })
  return { code, out }
}

const phase = async () => (JSON.parse((await run("status", "--json")).out) as { phase: string }).phase

async function putFlag(name: string, percentage: number): Promise<void> {
  const body = JSON.stringify({ enabled: true, percentage, allow: [], deny: [], reason: "the flow tidies up" })
  const answer = await api(`/api/flags/${name}`, {
    method: "PUT",
    body,
    headers: { "content-type": "application/json" },
  })
  expect(answer.status).toBe(200)
}

const failPayment = async () => {
  const at = await worldNow()
  const event = invoiceEvent({ type: "invoice.payment_failed", at, customer: fresh("cus"), invoice: fresh("in") })
  expect((await sendStripe(event)).status).toBe(200)
  await waitUntilProcessed()
  await advanceClock("PT6M")
}

test("in the dark launch nobody is notified, then the named company, then everybody; a rollback stops it", async () => {
  expect((await run("dark-launch")).code).toBe(0)
  expect(await phase()).toBe("dark-launch")
  await expireFlags()
  await failPayment()
  expect(await mailbox()).toHaveLength(0)

  const limited = await run("limited", "--companies", world().companyId)
  expect([limited.code, limited.out]).toEqual([0, expect.stringContaining("It is limited now:")])
  await expireFlags()
  await advanceClock("PT10M")
  expect((await mailbox()).length).toBeGreaterThan(0)

  expect((await run("full")).code).toBe(0)
  expect(await phase()).toBe("full")

  expect((await run("rollback")).code).toBe(0)
  expect(await phase()).toBe("rollback")
  await expireFlags()
  const before = (await mailbox()).length
  await failPayment()
  expect((await mailbox()).length).toBe(before)
  expect((await run("full")).code).toBe(1)
  expect((await run("dark-launch")).code).toBe(0)
})

test("a phase cannot be skipped, or entered while a gate fails", async () => {
  expect((await run("dark-launch")).code).toBe(0)
  expect((await run("full")).out).toContain("full follows limited only")
  await setFault("postgres", "down")
  for (let index = 0; index < 5; index++) expect((await api("/api/cases")).status).toBe(503)
  await setFault("postgres", "off")
  const refused = await run("limited", "--companies", world().companyId)
  expect([refused.code, refused.out]).toEqual([1, expect.stringMatching(/✘ error rate is [\d.]+ %, wanted < 1 %/)])
  expect(await phase()).toBe("dark-launch")
})
