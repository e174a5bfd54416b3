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
let calm: Awaited<ReturnType<typeof run>>[number]

beforeAll(async () => {
  await reset()
  // With QStash down a nudge is sent by this test or by `sweep`.
  await setFault("qstash", "down")
  end = await worldNow()
  const [only] = await run([{ tag: "calm0000", kill: null }])
  if (only === undefined) throw new Error("nothing was run")
  calm = only
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

interface Crash {
  readonly tag: string
  /** Null: no process is killed. */
  readonly kill: (KillPoint & { readonly step: Step }) | null
}

/**
 * Failed payments of different members, each from its webhook over the nudge to the payment, with one process killed once. Only
 * the clock is moved for all of them together.
 */
async function run(crashes: readonly Crash[]) {
  const members = crashes.map(({ tag, kill }) => {
    const { events } = failedRenewalScenario(tag, end)
    const [failed = "", , , , paid = ""] = events.map((event) => JSON.stringify(event))
    const at = (step: Step) => (kill?.step === step ? kill : null)
    return { tag, failed, paid, at, calls: { failed: 0, nudge: 0, paid: 0 } }
  })
  const deliver = async (body: string, kill: KillPoint | null) => {
    const outcome = await webhook(body, kill)
    // Only what was not acknowledged is retried.
    if (outcome.status !== 200) expect((await webhook(body, null)).status).toBe(200)
    return outcome.calls
  }
  for (const { tag, failed, at, calls } of members) {
    calls.failed = await deliver(failed, at("failed"))
    calls.nudge = (await nudgeJob(tag, at("nudge"))).calls
  }
  // Once for `sweep` to fold the rest, once more to send what that planned.
  await advanceClock(LATER)
  await advanceClock(LATER)
  for (const { paid, at, calls } of members) calls.paid = await deliver(paid, at("paid"))
  await advanceClock(LATER)

  const sent = await mailbox()
  const unfinished = await sql<{ id: string }>(
    "select provider_event_id as id from webhook_events where status in ('received', 'failed', 'dead')",
  )
  const ends = []
  for (const { tag, calls } of members) {
    const [nudge] = await sql<{ status: string }>("select status from nudges where case_id = $1 and step = 0", [
      `payment_in_${tag}`,
    ])
    const messages = sent.filter((message) => message.to === `cus_${tag}@example.com`).length
    const left = unfinished.filter(({ id }) => id.includes(tag)).length
    ends.push({ words: await describeState(tag), messages, nudge: nudge?.status, left, calls })
  }
  return ends
}

test("without a crash the member gets one message and the case is recovered", () => {
  expect(calm).toMatchObject({ messages: 1, nudge: "sent", left: 0 })
  expect(JSON.parse(calm.words).cases).toMatchObject([{ status: "recovered", failure_count: 1 }])
})

/** Fewer than `sweep` finishes in one run. */
const TOGETHER = 12

const STEPS: readonly Step[] = ["failed", "nudge", "paid"]

test("killed before any call or after its effect, everything ends the same", async () => {
  const kills = STEPS.flatMap((step) =>
    Array.from({ length: calm.calls[step] }, (_, index) => index + 1).flatMap((call) =>
      (["before", "after"] as const).map((when) => ({ step, call, when })),
    ),
  )
  expect(kills.length).toBeGreaterThanOrEqual(20)
  const crashes = kills.map((kill, index) => ({ tag: `crash${index.toString(36).padStart(3, "0")}`, kill }))
  for (let start = 0; start < crashes.length; start += TOGETHER) {
    const together = crashes.slice(start, start + TOGETHER)
    for (const [index, result] of (await run(together)).entries()) {
      const kill = together[index]?.kill
      const where = `${kill?.step}, ${kill?.when} call ${kill?.call}`
      expect(result.words, where).toBe(calm.words)
      expect(result.left, where).toBe(0)
      // If the process was killed while sending, the outcome is unknown, and the nudge is listed as such.
      expect(["1 sent", "0 unknown", "1 unknown"], where).toContain(`${result.messages} ${result.nudge}`)
    }
  }
}, 120_000)
