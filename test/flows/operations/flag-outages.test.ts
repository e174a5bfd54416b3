/** Switches in an emergency: set in the middle of an effect, and with either of their stores down, empty or outdated. */
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { setFlagInRedis, storedFlag } from "../../support/actions/flags.ts"
import { caseOf, failPayment, payInvoice } from "../../support/actions/members.ts"
import { fresh } from "../../support/events/providers.ts"
import {
  providerWrites,
  putFlag,
  putProviderObject,
  redis,
  setSwitchForAll,
} from "../../support/world/external-services.ts"
import {
  advanceClock,
  api,
  mailbox,
  reset,
  setFault,
  settle,
  sql,
  waitFor,
  waitUntilProcessed,
  world,
} from "../../support/world/world.ts"

beforeEach(async () => {
  await reset()
  await api("/api/flags") // the isolate caches the last test's flags for five seconds
})
afterEach(async () => {
  for (const target of ["redis", "postgres", "qstash", "stripe-api"]) await setFault(target, "off")
})

const nudgeOf = async (invoice: string) =>
  (
    await sql<{ status: string; reason: string | null; attempts: number }>(
      "select status, reason, attempts from nudges where id = $1",
      [`payment_${invoice}.0.email`],
    )
  )[0]

describe("a nudge with an incentive", () => {
  beforeEach(async () => {
    const steps = [{ day: 0, incentive: { kind: "discount", percentOff: 20, months: 2 } }]
    const body = JSON.stringify({ playbooks: { payment: steps, cancellation: [], at_risk: [] } })
    await api("/api/settings", { method: "PUT", body, headers: { "content-type": "application/json" } })
  })

  /** A member whose first nudge is due and not published. */
  async function dueMember() {
    const [customer, invoice] = [fresh("cus"), fresh("in")]
    await putProviderObject("stripe", "subscriptions", `sub_of_${customer}`, {
      ...{
        id: `sub_of_${customer}`,
        object: "subscription",
        customer,
        status: "past_due",
        discounts: [],
        metadata: {},
      },
      items: { object: "list", data: [{ id: "si_1", current_period_end: 1_900_000_000 }] },
    })
    await setFault("qstash", "down")
    await failPayment(customer, invoice)
    await waitUntilProcessed()
    await waitFor(() => nudgeOf(invoice))
    await setFault("qstash", "off")
    return { customer, invoice }
  }

  const discounts = async () =>
    (await providerWrites()).filter(
      ({ path, isReplay, status }) => /subscriptions/.test(path) && !isReplay && status === 200,
    )

  /** Starts the job, and waits until the nudge is marked and the provider's call for the incentive is pending. */
  async function startSending(invoice: string) {
    await setFault("stripe-api", "slow")
    await api("/jobs/reminders", { method: "POST" })
    await waitFor(async () => (await nudgeOf(invoice))?.status === "sending")
  }

  test("is stopped by ROLLBACK_MODE set between claim and send: no message, the attempt does not count", async () => {
    const { invoice } = await dueMember()
    await startSending(invoice)
    await setFlagInRedis("ROLLBACK_MODE", { enabled: true })
    await waitFor(async () => (await nudgeOf(invoice))?.status === "planned")
    expect(await nudgeOf(invoice)).toEqual({ status: "planned", reason: "switched_off", attempts: 0 })
    await setFault("stripe-api", "off")
    await advanceClock("PT1H")
    expect(await mailbox()).toEqual([])

    await setSwitchForAll("ROLLBACK_MODE", false)
    await advanceClock("PT10M")
    expect(await mailbox()).toMatchObject([{ body: expect.stringContaining("20%") }])
    expect(await discounts()).toHaveLength(1)
  })

  test("gives no incentive when the switch is set right after the claim has read it", async () => {
    const { invoice } = await dueMember()
    await api("/api/flags") // the isolate reads its flags now
    await setFlagInRedis("ROLLBACK_MODE", { enabled: true })
    await api("/jobs/reminders", { method: "POST" })
    await waitFor(async () => (await nudgeOf(invoice))?.reason === "switched_off")
    expect(await nudgeOf(invoice)).toEqual({ status: "planned", reason: "switched_off", attempts: 0 })
    expect([await mailbox(), await discounts()]).toEqual([[], []])
  })

  test("is not sent to a member who paid during the call for the incentive", async () => {
    const { customer, invoice } = await dueMember()
    await startSending(invoice)
    await payInvoice(customer, invoice)
    await waitFor(async () => (await nudgeOf(invoice))?.status === "suppressed")
    expect(await nudgeOf(invoice)).toMatchObject({ status: "suppressed", reason: "case_closed" })
    await setFault("stripe-api", "off")
    const { status, timeline } = await caseOf(invoice)
    expect(status).toBe("recovered")
    expect(timeline.filter(({ kind }) => kind === "incentive_applied" || kind === "nudge_suppressed")).toHaveLength(2)
    await advanceClock("P1D")
    expect(await mailbox()).toEqual([])
  })
})

test("a nudge without an incentive is stopped by a switch set after the claim has read it", async () => {
  await settle()
  const invoice = fresh("in")
  await setFault("qstash", "down")
  await failPayment(fresh("cus"), invoice)
  await waitUntilProcessed()
  await waitFor(() => nudgeOf(invoice))
  await setFault("qstash", "off")
  await api("/api/flags")
  await setFlagInRedis("NOTIFICATIONS_ENABLED", { enabled: false })
  await api("/jobs/reminders", { method: "POST" })
  await waitFor(async () => (await nudgeOf(invoice))?.reason === "switched_off")
  expect(await mailbox()).toEqual([])
})

const sourceNow = async () => (await api<{ source: string }>("/api/flags/ROLLBACK_MODE")).body.source

describe("while Redis is down", () => {
  test("the last known value holds, and a change reaches Postgres and every isolate within ten seconds", async () => {
    await setSwitchForAll("NOTIFICATIONS_ENABLED", false)
    await setFault("redis", "down")
    await advanceClock("PT10S")
    await failPayment(fresh("cus"), fresh("in"))
    await waitUntilProcessed()
    await advanceClock("PT20M")
    expect(await mailbox()).toEqual([])
    expect(await sourceNow()).toBe("postgres")

    const answer = await putFlag("NOTIFICATIONS_ENABLED", { enabled: true, reason: "Redis is away" })
    expect(answer).toMatchObject({ status: 200, body: { storedIn: ["postgres"], enabled: true, isOn: true } })
    await advanceClock("PT10M")
    expect(await mailbox()).toHaveLength(1)

    await setFault("redis", "off")
    await advanceClock("PT2M")
    const { redis: inRedis, postgres } = await storedFlag("NOTIFICATIONS_ENABLED")
    expect(inRedis).toEqual(postgres)
    expect(inRedis?.value.enabled).toBe(true)
    expect(await sourceNow()).toBe("redis")
  })

  test("a change in Postgres alone reaches an isolate that did not make it", async () => {
    await setFault("redis", "down")
    await advanceClock("PT2M") // longer than anything is cached
    await sql(
      `insert into flags values ('NOTIFICATIONS_ENABLED', '{"enabled":false,"percentage":100,"allow":[],"deny":[]}',
        $1, gen_random_uuid(), now(), 'admin', null)`,
      [Date.now() + 86_400_000],
    )
    await advanceClock("PT10S")
    await failPayment(fresh("cus"), fresh("in"))
    await waitUntilProcessed()
    await advanceClock("PT20M")
    expect(await mailbox()).toEqual([])
  })

  test("and Postgres as well, no flag can be set, and after a minute nobody would be notified", async () => {
    await api("/api/flags")
    await setFault("redis", "down")
    await setFault("postgres", "down")
    const answer = await putFlag("ROLLBACK_MODE", { enabled: true })
    expect(answer).toMatchObject({ status: 503, body: { code: "UNAVAILABLE" } })
    expect(await sourceNow()).toMatch(/redis|remembered/)
    await advanceClock("PT2M")
    const { body } = await api<{ data: { name: string; isOn: boolean; source: string }[] }>("/api/flags")
    expect(body.data.filter(({ isOn }) => isOn).map(({ name }) => name)).toEqual(["WEBHOOK_PROCESSING_ENABLED"])
    expect(new Set(body.data.map(({ source }) => source))).toEqual(new Set(["safe_default"]))
    await setFault("redis", "off")
    await setFault("postgres", "off")
    await advanceClock("PT10S")
    expect(await sql("select 1 from flag_changes")).toEqual([])
    expect(await sourceNow()).toBe("redis")
  })
})

test("while Postgres is down a switch is set in Redis, and its audit entry follows", async () => {
  await failPayment(fresh("cus"), fresh("in"))
  await waitUntilProcessed()
  await setFault("postgres", "down")
  const first = await putFlag("ROLLBACK_MODE", { enabled: true, reason: "something is wrong" })
  expect(first).toMatchObject({ status: 200, body: { storedIn: ["redis"], isOn: true } })
  const second = await putFlag("ROLLBACK_MODE", { enabled: true, percentage: 50, allow: [world().companyId] })
  expect(second.body.storedIn).toEqual(["redis"])
  await setFault("postgres", "off")
  await advanceClock("PT2M")
  expect(await mailbox()).toEqual([])
  const { redis: inRedis, postgres } = await storedFlag("ROLLBACK_MODE")
  expect(postgres).toEqual(inRedis)
  expect(
    await sql(
      "select before->>'percentage' as before, after->>'percentage' as after, who, why from flag_changes order by at",
    ),
  ).toEqual([
    { before: null, after: "100", who: "admin", why: "something is wrong" },
    { before: "100", after: "50", who: "admin", why: null },
  ])
  expect(await redis("LLEN", "flags:pending")).toBe(0)
})

test("an emptied Redis is not mistaken for one without settings, and is filled again", async () => {
  expect(await setSwitchForAll("NOTIFICATIONS_ENABLED", false)).toMatchObject({ storedIn: ["redis", "postgres"] })
  await redis("FLUSHALL")
  await advanceClock("PT10S")
  await failPayment(fresh("cus"), fresh("in"))
  await waitUntilProcessed()
  await advanceClock("PT20M")
  expect(await mailbox()).toEqual([])
  const { redis: inRedis, postgres } = await storedFlag("NOTIFICATIONS_ENABLED")
  expect(inRedis).toEqual(postgres)
  expect(await redis("EXISTS", "flags:filled")).toBe(1)
})

test("of concurrent changes the last wins in both stores, and each is audited", async () => {
  await api("/api/flags")
  const shares = [10, 20, 30, 40, 50, 60, 70, 80]
  const answers = await Promise.all(
    shares.map((percentage) => putFlag("BI_DASHBOARD_V2", { enabled: true, percentage })),
  )
  expect(answers.map(({ status }) => status)).toEqual(shares.map(() => 200))
  // `sweep` writes the audit entry if Postgres was too busy.
  await api("/jobs/sweep", { method: "POST" })
  expect(await sql("select 1 from flag_changes")).toHaveLength(shares.length)
  // A write to Redis that failed is retried within ten seconds.
  const { redis: inRedis } = await waitFor(async () => {
    const stored = await storedFlag("BI_DASHBOARD_V2")
    return stored.redis?.changeId === stored.postgres?.changeId && stored
  }, 15)
  const [latest] = await sql<{ id: string }>("select id from flag_changes order by revision desc, id desc limit 1")
  expect(inRedis?.changeId).toBe(latest?.id)
  await waitFor(async () => (await redis<number>("LLEN", "flags:pending")) === 0)
})

test.each(["redis", "postgres"])("different stores get the newer value, when %s is outdated", async (behind) => {
  await putFlag("BI_DASHBOARD_V2", { enabled: true, percentage: 10 })
  const older = await storedFlag("BI_DASHBOARD_V2")
  await putFlag("BI_DASHBOARD_V2", { enabled: true, percentage: 20 })
  const newer = await storedFlag("BI_DASHBOARD_V2")
  if (behind === "redis") await redis("SET", "flag:BI_DASHBOARD_V2", JSON.stringify(older.redis))
  else {
    await sql("update flags set value = $1, revision = $2, change_id = $3, updated_at = $4", [
      ...[older.postgres?.value, older.postgres?.revision, older.postgres?.changeId, older.postgres?.updatedAt],
    ])
  }
  expect((await api("/jobs/sweep", { method: "POST" })).body).toMatchObject({ counts: { failed: 0 } })
  expect(await storedFlag("BI_DASHBOARD_V2")).toEqual(newer)
})

test("an invalid value in Redis is replaced by that of Postgres", async () => {
  await setSwitchForAll("NOTIFICATIONS_ENABLED", false)
  await redis("SET", "flag:NOTIFICATIONS_ENABLED", "not json")
  await advanceClock("PT10S")
  expect((await api("/api/flags/NOTIFICATIONS_ENABLED")).body).toMatchObject({ enabled: false })
  await advanceClock("PT2M")
  const { redis: inRedis, postgres } = await storedFlag("NOTIFICATIONS_ENABLED")
  expect(inRedis).toEqual(postgres)
})
