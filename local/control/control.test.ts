/** The control server, over HTTP. Over 300 lines, because all routes are tested in one world of parts. */
import { setTimeout as sleep } from "node:timers/promises"
import { Client } from "@upstash/qstash"
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"
import { createMailbox, type Mailbox } from "../channels/mailbox.ts"
import { createFaults, type Faults, jsonReply, type Listening, type Reply, serve, textReply } from "../faults.ts"
import { ownKeys } from "../own-key.ts"
import { type CronTicker, startCronTicker } from "../processes/cron-ticker.ts"
import { type Qstash, startQstash } from "../qstash/server.ts"
import { createClock, type VirtualClock } from "../time/clock.ts"
import { createHeartbeats, type Heartbeats } from "../time/heartbeats.ts"
import { advance, waitUntilDone } from "./advance.ts"
import { startControl } from "./control.ts"
import { createStats, type Stats } from "./stats.ts"

const DAY_MS = 24 * 60 * 60 * 1_000

const KEYS = {
  ...{ STRIPE_API_KEY: "sk", WHOP_API_KEY: "wh", SENDGRID_API_KEY: "SG" },
  SLACK_WEBHOOK_URL: "http://slack/x",
}

let clock: VirtualClock
let faults: Faults
let mailbox: Mailbox
let stats: Stats
let heartbeats: Heartbeats
let qstash: Qstash
let cron: CronTicker
let worker: Listening
let control: Listening
let resets: number
/** The requests to the fake Worker, with the time of the world's clock. */
let done: { readonly path: string; readonly at: Date }[]
let dueAt: Date[]
let pending: number

beforeEach(async () => {
  clock = createClock()
  faults = createFaults()
  mailbox = createMailbox(clock.now)
  stats = createStats()
  heartbeats = createHeartbeats()
  done = []
  dueAt = []
  pending = 0
  resets = 0
  worker = await serve(undefined, async (req, res) => {
    if (req.url === "/slow") await sleep(300)
    const { status, headers, body } = answerAsWorker(req.url ?? "")
    res.writeHead(status, headers).end(body)
  })
  qstash = await startQstash({
    ...{ clock, faults, heartbeats, token: "t" },
    currentSigningKey: "current",
    nextSigningKey: "next",
  })
  qstash.release()
  cron = startCronTicker({
    crons: ["*/10 * * * *"],
    clock,
    scheduledUrl: () => `${worker.url}/cdn-cgi/handler/scheduled`,
    heartbeats,
    isOn: qstash.isMissed,
  })
  control = await startControl({
    clock,
    faults,
    mailbox,
    stats,
    heartbeats,
    ownKeys: (name) => ownKeys(KEYS, name),
    port: 0,
    advance: (duration) =>
      advance({ clock, qstash, cron, faults, heartbeats, workerUrl: () => worker.url, apiKey: () => null }, duration),
    settle: () => waitUntilDone({ qstash, cron, faults, workerUrl: () => worker.url }),
    reset: async () => {
      resets += 1
      clock.reset()
    },
  })
})

afterEach(async () => {
  for (const part of [control, cron, qstash, worker]) await part.stop()
})

/**
 * A Worker that has due work, does it when its reminders job runs, and finishes one pending event per health request.
 */
function answerAsWorker(url: string): Reply {
  const path = new URL(url, "http://worker").pathname
  const at = clock.now()
  if (path === "/api/scheduler/reminders") return jsonReply({ nextDueAt: dueAt[0]?.toISOString() ?? null })
  if (path === "/api/health/webhooks") return jsonReply({ status: "pass", pending: pending > 0 ? pending-- : 0 })
  const isReminders = path === "/jobs/reminders"
  const work = isReminders ? dueAt.filter((due) => due <= at) : []
  for (const _ of work) done.push({ path: "work", at })
  dueAt = dueAt.filter((due) => !work.includes(due))
  done.push({ path, at })
  return jsonReply({})
}

const client = () =>
  new Client({ baseUrl: qstash.url, token: "t", devMode: false, retry: false, enableTelemetry: false })

async function call(method: string, path: string, body?: unknown) {
  const response = await fetch(control.url + path, {
    method,
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  })
  return { status: response.status, body: await response.json() }
}

const timesOf = (path: string): Date[] => done.filter((one) => one.path === path).map(({ at }) => at)

test("keys of an account are made for the name that is asked for, and for no other text", async () => {
  const { status, body } = await call("POST", "/own-keys", { account: "ada" })
  expect([status, body]).toEqual([
    200,
    {
      stripeApiKey: "sk_of_acct_ada",
      whopApiKey: "wh_of_biz_ada",
      sendgridApiKey: "SG_of_ada",
      slackWebhookUrl: "http://slack/x_of_ada",
    },
  ])
  expect((await call("POST", "/own-keys", { account: "ada/bob" })).status).toBe(400)
})

describe("the clock", () => {
  test("shows the time and moves it", async () => {
    const before = new Date((await call("GET", "/clock")).body.now)
    const { status, body } = await call("POST", "/clock", { advance: "P2D" })
    expect(status).toBe(200)
    const movedMs = new Date(body.now).getTime() - before.getTime()
    expect(movedMs).toBeGreaterThanOrEqual(2 * DAY_MS)
    expect(movedMs).toBeLessThan(2 * DAY_MS + 5_000)
  })

  test("stops at each delayed message, so that it is sent at its own time", async () => {
    const start = clock.now().getTime()
    for (const delay of [3_600, 30 * 3_600]) await client().publish({ url: `${worker.url}/later`, delay })
    await call("POST", "/clock", { advance: "P2D" })
    const late = timesOf("/later").map((at, index) => at.getTime() - start - ([3_600_000, 30 * 3_600_000][index] ?? 0))
    expect(late).toHaveLength(2)
    for (const ms of late) expect(ms).toBeLessThan(1_000)
  })

  test("running work ends before time moves", async () => {
    const start = clock.now().getTime()
    await client().publish({ url: `${worker.url}/slow` })
    await call("POST", "/clock", { advance: "P1D" })
    const [endedAt] = timesOf("/slow")
    expect((endedAt?.getTime() ?? Number.POSITIVE_INFINITY) - start).toBeLessThan(60_000)
  })

  test("stops at the reminders slot after each due time", async () => {
    await client().schedules.create({
      destination: `${worker.url}/jobs/reminders`,
      cron: "*/5 * * * *",
      scheduleId: "r",
    })
    const start = clock.now().getTime()
    dueAt = [new Date(start + DAY_MS), new Date(start + 1.5 * DAY_MS)]
    const dues = [...dueAt]
    await call("POST", "/clock", { advance: "P2D" })
    const lateMs = timesOf("work").map((at, index) => at.getTime() - (dues[index]?.getTime() ?? 0))
    expect(lateMs).toHaveLength(2)
    for (const ms of lateMs) expect(ms).toBeLessThanOrEqual(5 * 60_000 + 1_000)
  })

  test("runs schedules and crons at least every twelve hours, not at every slot", async () => {
    await client().schedules.create({ destination: `${worker.url}/jobs/often`, cron: "* * * * *" })
    await call("POST", "/clock", { advance: "P2D" })
    for (const path of ["/jobs/often", "/cdn-cgi/handler/scheduled"]) {
      expect(timesOf(path).length).toBeGreaterThanOrEqual(4)
      expect(timesOf(path).length).toBeLessThanOrEqual(6) // a slot of real time may have passed meanwhile
    }
  })

  test("work that stays due does not stop time", async () => {
    dueAt = [new Date(clock.now().getTime() - 1)]
    expect((await call("POST", "/clock", { advance: "P1D" })).status).toBe(200)
    expect(done.length).toBeLessThan(20)
  })

  test("waits until nothing is pending", async () => {
    pending = 3
    expect((await call("POST", "/clock", { advance: "PT1M" })).body.pending).toBe(0)
    expect(pending).toBe(0)
  })

  test("waits for the Worker's running requests", async () => {
    const service = await serve(undefined, (req, res) =>
      faults.intercept("email", req, res, async () => {
        await sleep(300)
        isDone = true
        return textReply("", 200)
      }),
    )
    let isDone = false
    const request = fetch(service.url)
    await vi.waitUntil(() => faults.activity().underWay === 1)
    await call("POST", "/clock", { advance: "PT1M" })
    expect(isDone).toBe(true)
    await (await request).arrayBuffer()
    await service.stop()
  })

  test("works without a Worker", async () => {
    await worker.stop()
    expect((await call("POST", "/clock", { advance: "P1D" })).status).toBe(200)
  })

  test("two concurrent moves are serialized", async () => {
    const start = clock.now().getTime()
    await Promise.all([call("POST", "/clock", { advance: "P1D" }), call("POST", "/clock", { advance: "P1D" })])
    expect(clock.now().getTime() - start).toBeGreaterThanOrEqual(2 * DAY_MS)
  })
})

test("the mailbox shows messages and calls, and can be emptied", async () => {
  mailbox.deliver({ channel: "sms", to: "+1", subject: "", body: "hi", idempotencyKey: null })
  const { body } = await call("GET", "/mailbox")
  expect(body).toEqual({
    messages: [
      { channel: "sms", to: "+1", subject: "", body: "hi", idempotencyKey: null, at: expect.stringMatching(/Z$/) },
    ],
    calls: [],
  })
  await call("DELETE", "/mailbox")
  expect((await call("GET", "/mailbox")).body.messages).toEqual([])
})

test("faults are set and shown", async () => {
  expect((await call("POST", "/faults", { target: "sms", mode: "down" })).status).toBe(200)
  expect(faults.mode("sms")).toBe("down")
  expect((await call("GET", "/faults")).body).toMatchObject({ sms: "down", email: "off" })
})

test("stats are counted and emptied", async () => {
  stats.count("postgres")
  expect((await call("GET", "/stats")).body).toEqual({ postgres: 1, redis: 0, qstash: 0 })
  expect((await call("DELETE", "/stats")).body).toEqual({ postgres: 0, redis: 0, qstash: 0 })
})

describe("heartbeats for tests", () => {
  const schedule = (job: string) =>
    client().schedules.create({ destination: `${worker.url}/jobs/${job}`, cron: "* * * * *" })

  test("only those of the named jobs run, at QStash, and only while the clock is moved", async () => {
    await Promise.all([schedule("wanted"), schedule("unwanted")])
    expect((await call("POST", "/heartbeats", { running: ["wanted"] })).body).toEqual({ running: ["wanted"] })
    clock.advance("PT1H")
    await call("POST", "/settle")
    expect(timesOf("/jobs/wanted")).toEqual([])
    await call("POST", "/clock", { advance: "PT1M" })
    expect(timesOf("/jobs/wanted")).toHaveLength(1)
    expect(timesOf("/jobs/unwanted")).toEqual([])
    expect(timesOf("/cdn-cgi/handler/scheduled")).toEqual([])
  })

  test("all of them run again once they are live", async () => {
    await Promise.all([schedule("wanted"), schedule("unwanted")])
    for (const running of [["wanted"], "live"]) await call("POST", "/heartbeats", { running })
    expect((await call("GET", "/heartbeats")).body).toEqual({ running: "live" })
    await call("POST", "/clock", { advance: "PT10M" })
    for (const path of ["/jobs/wanted", "/jobs/unwanted", "/cdn-cgi/handler/scheduled"]) {
      expect(timesOf(path).length).toBeGreaterThan(0)
    }
  })

  test("the Cron Trigger of a named job takes over while QStash delivers nothing", async () => {
    await client().schedules.create({ destination: `${worker.url}/jobs/wanted`, cron: "*/10 * * * *" })
    faults.set("qstash", "down")
    for (const running of [["another"], ["wanted"]]) {
      await call("POST", "/heartbeats", { running })
      await call("POST", "/clock", { advance: "PT10M" })
    }
    expect(timesOf("/cdn-cgi/handler/scheduled")).toHaveLength(1)
    expect(timesOf("/jobs/wanted")).toEqual([])
  })
})

test("settling waits for deliveries and for what they cause", async () => {
  await client().publish({ url: `${worker.url}/slow` })
  expect((await call("POST", "/settle")).status).toBe(200)
  expect(timesOf("/slow")).toHaveLength(1)
})

test("a reset empties the world", async () => {
  clock.advance("P9D")
  expect((await call("POST", "/reset")).status).toBe(200)
  expect([resets, clock.offsetMs()]).toEqual([1, 0])
})

test.each([
  ["POST", "/clock", "not json", 400],
  ["POST", "/clock", { advance: "tomorrow" }, 400],
  ["POST", "/clock", { advance: "-P1D" }, 400],
  ["POST", "/clock", {}, 400],
  ["POST", "/clock", { advance: 5 }, 400],
  ["POST", "/faults", { target: "moon", mode: "down" }, 400],
  ["POST", "/faults", { target: "sms", mode: "melt" }, 400],
  ["POST", "/heartbeats", { running: "sometimes" }, 400],
  ["GET", "/nothing", undefined, 404],
  ["GET", "/reset", undefined, 404],
])("%s %s with %j is %s", async (method, path, body, status) => {
  const response = await call(method, path, body)
  expect(response).toEqual({ status, body: { error: expect.any(String) } })
})

test("a page of another site cannot control it", async () => {
  const response = await fetch(`${control.url}/reset`, { method: "POST", headers: { origin: "https://evil.example" } })
  expect([response.status, resets]).toEqual([403, 0])
})
