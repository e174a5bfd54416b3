/**
 * A crash before or after each effect: the provider retries what was not acknowledged, `sweep` finishes the rest, and the end is
 * the same as without a crash. At most one visible message.
 */
import { afterAll, beforeAll, expect, test } from "vitest"
import { stripeSignature } from "../../support/events/providers.ts"
import { describeState, failedRenewalScenario } from "../../support/events/scenario.ts"
import { type KillPoint, type Outcome, runInProcess } from "../../support/world/run-in-process.ts"
import { advanceClock, mailbox, reset, setFault, sql, world, worldNow } from "../../support/world/world.ts"

/** Leases have expired and `sweep` has run by then, and the second nudge is not due yet. */
const LATER = "PT10M"

let end: Date
let calm: Awaited<ReturnType<typeof run>>

beforeAll(async () => {
  await reset()
  // With QStash down a nudge is sent by this test or by `sweep`.
  await setFault("qstash", "down")
  end = await worldNow()
  calm = await run("calm0000", null)
})
afterAll(() => setFault("qstash", "off"))

async function webhook(body: string, kill: KillPoint | null): Promise<Outcome> {
  const timestamp = Math.floor((await worldNow()).getTime() / 1000)
  const headers = { "stripe-signature": await stripeSignature(body, timestamp) }
  return runInProcess(
    new Request(`${world().vars.APP_URL}/api/webhooks/stripe`, { method: "POST", body, headers }),
    kill,
  )
}

/** QStash's message: the nudge of day 0, due now. */
const nudgeJob = (tag: string, kill: KillPoint | null): Promise<Outcome> =>
  runInProcess(
    new Request(`${world().vars.APP_URL}/jobs/nudges`, {
      method: "POST",
      headers: { authorization: `Bearer ${world().adminApiKey}` },
      body: JSON.stringify({ companyId: world().companyId, nudgeIds: [`payment_in_${tag}.0.email`], owner: null }),
    }),
    kill,
  )

type Step = "failed" | "nudge" | "paid"

/** One failed payment, from its webhook over the nudge to the payment, with one process killed once. */
async function run(tag: string, kill: (KillPoint & { readonly step: Step }) | null) {
  const { events } = failedRenewalScenario(tag, end)
  const [failed, , , , paid] = events.map((event) => JSON.stringify(event))
  const at = (step: Step) => (kill?.step === step ? kill : null)

  const deliver = async (step: Step, body = "") => {
    const outcome = await webhook(body, at(step))
    // Only what was not acknowledged is retried.
    if (outcome.status !== 200) expect((await webhook(body, null)).status).toBe(200)
    return outcome.calls
  }
  const calls = { failed: await deliver("failed", failed), nudge: 0, paid: 0 }
  calls.nudge = (await nudgeJob(tag, at("nudge"))).calls
  // Once for `sweep` to fold the rest, once more to send what that planned.
  await advanceClock(LATER)
  await advanceClock(LATER)
  calls.paid = await deliver("paid", paid)
  await advanceClock(LATER)

  const messages = (await mailbox()).filter((message) => message.to === `cus_${tag}@example.com`)
  const [nudge] = await sql<{ status: string }>("select status from nudges where case_id = $1 and step = 0", [
    `payment_in_${tag}`,
  ])
  const [row] = await sql<{ left: string }>(
    "select count(*) as left from webhook_events where status in ('received', 'failed', 'dead')",
  )
  return { words: await describeState(tag), messages: messages.length, nudge: nudge?.status, left: row?.left, calls }
}

test("without a crash the member gets one message and the case is recovered", () => {
  expect(calm).toMatchObject({ messages: 1, nudge: "sent", left: "0" })
  expect(JSON.parse(calm.words).cases).toMatchObject([{ status: "recovered", failure_count: 1 }])
})

const STEPS: readonly Step[] = ["failed", "nudge", "paid"]

test("killed before any call or after its effect, everything ends the same", async () => {
  const kills = STEPS.flatMap((step) =>
    Array.from({ length: calm.calls[step] }, (_, index) => index + 1).flatMap((call) =>
      (["before", "after"] as const).map((when) => ({ step, call, when })),
    ),
  )
  expect(kills.length).toBeGreaterThanOrEqual(20)
  for (const [index, kill] of kills.entries()) {
    const result = await run(`crash${index.toString(36).padStart(3, "0")}`, kill)
    const where = `${kill.step}, ${kill.when} call ${kill.call}`
    expect(result.words, where).toBe(calm.words)
    expect(result.left, where).toBe("0")
    // If the process was killed while sending, the outcome is unknown, and the nudge is listed as such.
    expect(["1 sent", "0 unknown", "1 unknown"], where).toContain(`${result.messages} ${result.nudge}`)
  }
}, 300_000)
