/** Who may start a job, and that starting it twice, late or concurrently has no visible effect. */
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { POLICIES } from "../../../workers/platform/outbound/policy.ts"
import { newApiKey } from "../../support/actions/companies.ts"
import { signed } from "../../support/actions/jobs.ts"
import { caseOf, failPayment } from "../../support/actions/members.ts"
import { fresh, post } from "../../support/events/providers.ts"
import { qstash, setSwitchForAll } from "../../support/world/external-services.ts"
import {
  advanceClock,
  api,
  control,
  mailbox,
  reset,
  setFault,
  sql,
  stats,
  waitFor,
  waitUntilProcessed,
  world,
  worldNow,
} from "../../support/world/world.ts"

beforeEach(reset)
afterEach(async () => {
  for (const target of ["qstash", "postgres", "email"]) await setFault(target, "off")
})

/** An empty chunk: an accepted job without work. */
const NOTHING = JSON.stringify({ companyId: "flows_company", nudgeIds: [], owner: null })

const start = (job: string, body: string, signature: string | null) =>
  post(`/jobs/${job}`, body, signature === null ? {} : { "upstash-signature": signature })

describe("a job is refused to", () => {
  const seconds = async () => Math.floor((await worldNow()).getTime() / 1_000)
  const cases: readonly (readonly [string, () => Promise<string | null>])[] = [
    ["a caller without a signature", async () => null],
    ["a signature of another key", () => signed({ body: NOTHING, key: "sig_of_nobody_we_know_0123456789" })],
    ["a signature for another job", () => signed({ body: NOTHING, url: `${world().vars.APP_URL}/jobs/sweep` })],
    ["a signature for another host", () => signed({ body: NOTHING, url: "https://evil.example/jobs/nudges" })],
    ["a signature of another body", () => signed({ body: `${NOTHING} ` })],
    [
      "a signature that has expired",
      async () => {
        const exp = (await seconds()) - 1
        return signed({ body: NOTHING, claims: { exp, nbf: exp - 300, iat: exp - 300 } })
      },
    ],
    [
      "a signature that is not yet valid",
      async () => {
        const nbf = (await seconds()) + 120
        return signed({ body: NOTHING, claims: { exp: nbf + 300, nbf, iat: nbf } })
      },
    ],
    [
      "a signature that would be valid for a day",
      async () => {
        return signed({ body: NOTHING, claims: { exp: (await seconds()) + 86_400 } })
      },
    ],
    ["a signature without an end", () => signed({ body: NOTHING, claims: { exp: undefined } })],
    ["a signature of another issuer", () => signed({ body: NOTHING, claims: { iss: "upstash" } })],
    ["a token that is not signed", () => signed({ body: NOTHING, header: { alg: "none" } })],
    ["a token of another algorithm", () => signed({ body: NOTHING, header: { alg: "HS512" } })],
    [
      "a token with a critical header",
      () => {
        return signed({ body: NOTHING, header: { alg: "HS256", typ: "JWT", crit: ["x"] } })
      },
    ],
    ["no token at all", async () => "a.b"],
  ]
  test.each(cases)("%s", async (_, signature) => {
    const answer = await start("nudges", NOTHING, await signature())
    expect(answer).toMatchObject({ status: 401, body: { code: "UNAUTHENTICATED" } })
    expect(answer.headers.get("cache-control")).toBe("no-store")
  })

  test("a webhook's secret, an API key in place of the signature, and an unknown key", async () => {
    for (const signature of [world().adminApiKey, `Bearer ${world().adminApiKey}`]) {
      expect((await start("nudges", NOTHING, signature)).status).toBe(401)
    }
    expect((await api("/jobs/reminders", { method: "POST", key: "a_key_that_nobody_has" })).status).toBe(401)
    expect((await fetch(`${world().workerUrl}/jobs/reminders`)).status).toBe(405)
  })
})

describe("a job is started by", () => {
  test("the current key and the next one", async () => {
    const { QSTASH_CURRENT_SIGNING_KEY: current, QSTASH_NEXT_SIGNING_KEY: next } = world().vars
    expect(current).not.toBe(next)
    for (const key of [current, next]) {
      const answer = await start("nudges", NOTHING, await signed({ key, body: NOTHING }))
      expect(answer).toMatchObject({ status: 200, body: { job: "nudges", outcome: "handled" } })
    }
  })

  test("an operator with the deployment's key, and not by a company's key", async () => {
    const run = async (key: string) => api<{ outcome: string }>("/jobs/reminders", { method: "POST", key })
    expect(await run(world().adminApiKey)).toMatchObject({ status: 200, body: { outcome: "dispatched" } })
    expect((await run(await newApiKey("admin"))).status).toBe(403)
    expect((await run(await newApiKey("success-analyst"))).status).toBe(403)
    expect((await run(await newApiKey("success-manager"))).status).toBe(403)
    expect(await sql("select source from job_runs where source = 'operator'")).toHaveLength(1)
  })
})

test("an unknown job is 404 for those who may start jobs, and 401 for others", async () => {
  const url = `${world().vars.APP_URL}/jobs/nothing`
  expect((await start("nothing", "", await signed({ url }))).status).toBe(404)
  expect((await start("nothing", "", null)).status).toBe(401)
})

test.each([
  ["nudges", '{"nudgeIds":"all"}', "payload_not_understood"],
  ["nudges", "no json", "payload_not_understood"],
  ["ingest", '{"sealed":"AAAA"}', "copy_not_ours"],
])("%s with %s is answered 489, so that QStash does not retry it", async (job, body, reason) => {
  const url = `${world().vars.APP_URL}/jobs/${job}`
  const answer = await start(job, body, await signed({ url, body }))
  expect(answer).toMatchObject({ status: 489, body: { gaveUp: reason } })
  expect(answer.headers.get("upstash-nonretryable-error")).toBe("true")
})

test("a message that was answered 489 stays a dead letter and is not redriven", async () => {
  const { QSTASH_URL: url = "", QSTASH_TOKEN: token = "", APP_URL: app } = world().vars
  await fetch(`${url}/v2/publish/${app}/jobs/nudges`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: '{"wrong":true}',
  })
  const dead = () => qstash<{ messages: { responseStatus: number }[] }>("/v2/dlq")
  await waitFor(async () => (await dead()).messages.length === 1)
  await advanceClock("PT5M")
  expect((await dead()).messages).toMatchObject([{ responseStatus: 489 }])
})

describe("one due nudge", () => {
  /** A member with a nudge that is due and not published. */
  async function due() {
    await setFault("qstash", "down")
    const [customer, invoice] = [fresh("cus"), fresh("in")]
    await failPayment(customer, invoice)
    await waitUntilProcessed()
    const nudgeId = `payment_${invoice}.0.email`
    await waitFor(async () => (await sql("select 1 from nudges where id = $1", [nudgeId])).length > 0)
    await setFault("qstash", "off")
    return {
      invoice,
      nudgeId,
      body: JSON.stringify({ companyId: world().companyId, nudgeIds: [nudgeId], owner: null }),
    }
  }

  test("delivered ten times at once is one e-mail", async () => {
    const { invoice, body } = await due()
    const signature = await signed({ body })
    const answers = await Promise.all(Array.from({ length: 10 }, () => start("nudges", body, signature)))
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
    expect(await mailbox()).toHaveLength(1)
    await start("nudges", body, await signed({ body }))
    await advanceClock("PT30M")
    expect(await mailbox()).toHaveLength(1)
    const { nudges, timeline } = await caseOf(invoice)
    expect(nudges[0]).toMatchObject({ status: "sent" })
    expect(timeline.filter(({ kind }) => kind === "nudge_sent")).toHaveLength(1)
  })

  test("twice in one chunk, and in a chunk of another company, is one e-mail", async () => {
    const { nudgeId } = await due()
    const twice = JSON.stringify({ companyId: world().companyId, nudgeIds: [nudgeId, nudgeId], owner: null })
    const foreign = JSON.stringify({ companyId: "somebody_else", nudgeIds: [nudgeId], owner: null })
    const answers = await Promise.all(
      [twice, foreign].map(async (body) => start("nudges", body, await signed({ body }))),
    )
    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    expect(answers[1]?.body).toMatchObject({ counts: { not_due: 1 } })
    expect(await mailbox()).toHaveLength(1)
  })

  test("is one e-mail when reminders, sweep and QStash all send it", async () => {
    const { body } = await due()
    await advanceClock("PT1M")
    const run = (job: string) => api(`/jobs/${job}`, { method: "POST" })
    await Promise.all([
      ...[1, 2, 3].flatMap(() => [run("reminders"), run("sweep")]),
      start("nudges", body, await signed({ body })),
    ])
    await advanceClock("PT10M")
    expect(await mailbox()).toHaveLength(1)
  })

  test("that is not due yet is not sent", async () => {
    const { invoice } = await due()
    const later = `payment_${invoice}.2.email`
    const body = JSON.stringify({ companyId: world().companyId, nudgeIds: [later], owner: null })
    const answer = await start("nudges", body, await signed({ body }))
    expect(answer.body).toMatchObject({ counts: { not_due: 1 } })
    expect((await mailbox()).filter(({ idempotencyKey }) => idempotencyKey?.includes(".2."))).toEqual([])
  })

  test("is retried and not lost when Postgres fails in the middle of the chunk", async () => {
    const { body } = await due()
    await setFault("postgres", "down")
    const answer = await start("nudges", body, await signed({ body }))
    expect(answer.status).toBe(503)
    await setFault("postgres", "off")
    await advanceClock("PT10M")
    expect(await mailbox()).toHaveLength(1)
  })
})

test("a scheduler that is off publishes nothing, and catches up when it is on", async () => {
  await setSwitchForAll("SCHEDULER_ENABLED", false)
  await advanceClock("PT10S")
  await setFault("qstash", "down")
  await failPayment(fresh("cus"), fresh("in"))
  await waitUntilProcessed()
  // It is published after its event is folded, and again shortly after if that failed.
  await waitFor(async () => ((await stats())["qstash-turned-away"] ?? 0) >= 1 + POLICIES.qstash.keyedWriteRetries)
  await setFault("qstash", "off")
  expect((await api("/jobs/reminders", { method: "POST" })).body).toMatchObject({ outcome: "switched_off" })
  await advanceClock("PT30M")
  expect(await mailbox()).toEqual([])
  await setSwitchForAll("SCHEDULER_ENABLED", true)
  await advanceClock("PT10M")
  expect(await mailbox()).toHaveLength(1)
})

test("many due nudges are published in chunks of one company, each once", async () => {
  await setSwitchForAll("NOTIFICATIONS_ENABLED", false)
  await advanceClock("PT10S")
  await Promise.all(Array.from({ length: 45 }, () => failPayment(fresh("cus"), fresh("in"))))
  await waitUntilProcessed()
  await advanceClock("PT10S") // QStash has delivered each of them, and none was sent
  await setSwitchForAll("NOTIFICATIONS_ENABLED", true)
  await advanceClock("PT6S")
  await control("DELETE", "/stats")
  // The second may find the first running, and then does nothing.
  const runs = await Promise.all(
    [1, 2].map(() => api<{ counts: { due?: number } }>("/jobs/reminders", { method: "POST" })),
  )
  expect(runs.reduce((sum, { body }) => sum + (body.counts.due ?? 0), 0)).toBe(45)
  await waitFor(async () => (await mailbox()).length === 45)
  expect((await stats()).qstash).toBeLessThanOrEqual(8)
  await advanceClock("PT10M")
  expect(new Set((await mailbox()).map(({ to }) => to)).size).toBe(45)
  expect(await mailbox()).toHaveLength(45)
})
