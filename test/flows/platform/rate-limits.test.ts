/**
 * Floods: what they cost, whom the limits refuse, and whom not. In its own world, with low limits. Over 300 lines because the
 * tests share that world.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { addCompany, newApiKey } from "../../support/actions/companies.ts"
import { type Answer, fresh, invoiceEvent, post, sendStripe } from "../../support/events/providers.ts"
import { redis } from "../../support/world/external-services.ts"
import { type StartedWorld, startFlowsWorld } from "../../support/world/start-world.ts"
import {
  advanceClock,
  control,
  reset,
  setFault,
  sql,
  stats,
  useWorld,
  waitFor,
  waitUntilProcessed,
  world,
  worldNow,
} from "../../support/world/world.ts"

const WEBHOOKS_PER_MINUTE = 40
const API_PER_MINUTE = 30
/** The defaults of these are low enough to be reached. */
const BAD_PER_MINUTE = 60
const FAILED_AUTH_PER_5_MINUTES = 10

let own: StartedWorld
beforeAll(async () => {
  own = await startFlowsWorld(world().bundle, {
    RATE_LIMIT_WEBHOOKS_PER_MINUTE: String(WEBHOOKS_PER_MINUTE),
    RATE_LIMIT_API_PER_MINUTE: String(API_PER_MINUTE),
  })
  useWorld(own.access)
})
afterAll(async () => {
  useWorld(null)
  await own.stop()
})

// The clock goes back with every reset, and the isolate then counts from zero.
beforeEach(async () => {
  await reset()
  await early()
})
afterEach(async () => {
  await setFault("redis", "off")
})

/**
 * Moves to the first seconds of a minute, unless that is now: then no scheduled job runs for half a minute, and most of the
 * sliding window is ahead.
 */
async function early(): Promise<void> {
  const second = (await worldNow()).getUTCSeconds()
  if (second < 4 || second > 25) await advanceClock(`PT${65 - second}S`)
}

let lastAddress = 0
/** An unused address. */
function address(): string {
  lastAddress += 1
  return `198.51.${Math.floor(lastAddress / 250)}.${(lastAddress % 250) + 1}`
}

const from = (ip: string) => ({ "cf-connecting-ip": ip })

const delivery = async (options: { readonly path?: string; readonly ip?: string } = {}): Promise<Answer> => {
  const event = invoiceEvent({
    type: "invoice.paid",
    at: await worldNow(),
    customer: fresh("cus"),
    invoice: fresh("in"),
  })
  return sendStripe(event, {
    ...(options.path !== undefined && { path: options.path }),
    ...(options.ip !== undefined && { headers: from(options.ip) }),
  })
}

const bad = (headers: Record<string, string>, path = "/api/webhooks/stripe", body = "{}") => post(path, body, headers)

const statusesOf = (answers: readonly Answer[]): Readonly<Record<string, number>> => {
  const counts: Record<string, number> = {}
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1
  return counts
}

async function sequentially<T>(count: number, act: (index: number) => Promise<T>): Promise<T[]> {
  const all: T[] = []
  for (let index = 0; index < count; index++) all.push(await act(index))
  return all
}

function expectTooMany(answer: Answer): void {
  expect(answer.status).toBe(429)
  expect(answer.headers.get("content-type")).toBe("application/problem+json")
  expect(answer.body).toMatchObject({ status: 429, code: "TOO_MANY_REQUESTS" })
  const retryAfter = Number(answer.headers.get("retry-after"))
  expect(retryAfter).toBeGreaterThanOrEqual(1)
  expect(retryAfter).toBeLessThanOrEqual(600)
  for (const name of ["limit", "remaining", "reset", "policy"])
    expect(answer.headers.get(`ratelimit-${name}`)).toBeTruthy()
  expect(answer.headers.get("ratelimit-remaining")).toBe("0")
}

describe("a flood of invalid requests", () => {
  test("costs no round trip and ends in 429, and does not affect others", async () => {
    const REQUESTS = 1_500
    const CHUNK = 500
    const ip = address()
    const kinds: readonly (() => Promise<Answer>)[] = [
      () => bad(from(ip)),
      () => bad({ ...from(ip), "stripe-signature": `t=${Math.floor(Date.now() / 1000)},v1=${"00".repeat(32)}` }),
      () => bad(from(ip), "/api/webhooks/paypal"),
      () => bad(from(ip), "/api/webhooks/stripe/no!company"),
      () => bad({ ...from(ip), "webhook-id": "msg_1", "webhook-timestamp": "1" }, "/api/webhooks/whop"),
      () => bad(from(ip), "/jobs/sweep"),
      () => bad({ ...from(ip), "content-encoding": "gzip" }),
    ]
    const answers: Answer[] = []
    for (let sent = 0; sent < REQUESTS; sent += CHUNK) {
      await early()
      await control("DELETE", "/stats")
      for (let index = 0; index < CHUNK; index += 25) {
        answers.push(
          ...(await Promise.all(Array.from({ length: 25 }, (_, at) => kinds[(index + at) % kinds.length]?.()))).flatMap(
            (answer) => answer ?? [],
          ),
        )
      }
      const { postgres, redis: redisTrips, qstash } = await stats()
      expect({ postgres, redisTrips, qstash }).toEqual({ postgres: 0, redisTrips: 0, qstash: 0 })
    }
    const statuses = statusesOf(answers)
    expect(answers).toHaveLength(REQUESTS)
    expect(Object.keys(statuses).filter((status) => !["401", "404", "415", "429"].includes(status))).toEqual([])
    // The flood may last into a third minute, and the window slides: a few requests pass again.
    expect(statuses["429"]).toBeGreaterThan(REQUESTS - 4 * BAD_PER_MINUTE)
    expectTooMany(answers.at(-1) as Answer) // fifteen hundred were sent
    expect((await delivery({ ip: address() })).status).toBe(200)
  })

  test("is one client, whatever proxies the headers contain", async () => {
    const ip = address()
    let proxies = 0
    const another = () => `203.0.113.${proxies++ % 250}`
    const answers = await sequentially(BAD_PER_MINUTE + 20, () =>
      bad({
        ...from(ip),
        "x-forwarded-for": `${another()}, ${another()}`,
        forwarded: `for=${another()}`,
        "x-real-ip": another(),
        "true-client-ip": another(),
        "x-client-ip": another(),
      }),
    )
    expect(statusesOf(answers)).toEqual({ 401: BAD_PER_MINUTE, 429: 20 })
  })

  test("without an address is one client with a higher limit", async () => {
    const answers = await sequentially(5, (index) => bad({ "x-forwarded-for": `203.0.113.${index}` }))
    const limit = Number(answers[0]?.headers.get("ratelimit-limit"))
    expect(limit).toBe(100 * BAD_PER_MINUTE)
    const remaining = answers.map(({ headers }) => Number(headers.get("ratelimit-remaining")))
    expect(remaining.map((left) => (remaining[0] ?? 0) - left)).toEqual([0, 1, 2, 3, 4])
  })

  test("from all addresses of an IPv6 network is one client", async () => {
    const answers = await sequentially(BAD_PER_MINUTE + 5, (index) =>
      bad(from(`2001:db8:1:2::${(index + 1).toString(16)}`)),
    )
    expect(statusesOf(answers)).toEqual({ 401: BAD_PER_MINUTE, 429: 5 })
    expect((await bad(from("2001:db8:1:3::1"))).status).toBe(401)
  })

  test("blocks its sender for a while, signed or not", async () => {
    const ip = address()
    await sequentially(BAD_PER_MINUTE, () => bad(from(ip)))
    expectTooMany(await delivery({ ip }))
    await advanceClock("PT2M")
    expect((await delivery({ ip })).status).toBe(200)
  })

  test("cannot block a provider: an address with a recent valid signature bypasses the limit", async () => {
    const ip = address()
    expect((await delivery({ ip })).status).toBe(200)
    expect(statusesOf(await sequentially(BAD_PER_MINUTE + 20, () => bad(from(ip))))).toEqual({
      401: BAD_PER_MINUTE + 20,
    })
    expect((await delivery({ ip })).status).toBe(200)
  })
})

describe("a company that floods", () => {
  test("is refused with Retry-After, while another's events are accepted and processed", async () => {
    await addCompany("flooding")
    await addCompany("quiet")
    const [loud, quiet] = ["/api/webhooks/stripe/flooding", "/api/webhooks/stripe/quiet"]
    const answers: Answer[] = []
    const others: Answer[] = []
    for (let index = 0; index < 12; index++) {
      answers.push(...(await Promise.all(Array.from({ length: 5 }, () => delivery({ path: loud })))))
      others.push(await delivery({ path: quiet }))
    }
    expect(statusesOf(answers)).toEqual({ 200: WEBHOOKS_PER_MINUTE, 429: 60 - WEBHOOKS_PER_MINUTE })
    expect(statusesOf(others)).toEqual({ 200: 12 })
    expectTooMany(answers.filter(({ status }) => status === 429)[0] as Answer) // there are twenty
    await waitUntilProcessed()
    const rows = await sql<{ company_id: string; status: string; count: string }>(
      "select company_id, status, count(*) from webhook_events group by 1, 2 order by 1, 2",
    )
    expect(rows).toEqual([
      { company_id: "flooding", status: "processed", count: String(WEBHOOKS_PER_MINUTE) },
      { company_id: "quiet", status: "processed", count: "12" },
    ])
    await advanceClock("PT2M")
    expect((await delivery({ path: loud })).status).toBe(200)
  })

  test("in other isolates is refused in this one, once Redis has the count", async () => {
    await addCompany("elsewhere")
    const path = "/api/webhooks/stripe/elsewhere"
    const countKey = async () => (await redis<string[]>("KEYS", "rate:webhooks:*"))[0]
    await waitFor(async () => {
      expect((await delivery({ path })).status).toBe(200)
      return countKey()
    })
    // As if many isolates had counted; this one has counted few.
    await redis("SET", (await countKey()) ?? "", "100000", "KEEPTTL")
    const refused = await waitFor(async () => {
      const answer = await delivery({ path })
      return answer.status === 429 && answer
    }, 10)
    expectTooMany(refused)
    expect(refused.headers.get("ratelimit-remaining")).toBe("0")
    expect((await delivery()).status).toBe(200)
  })
})

const call = async (key: string, headers: Record<string, string> = {}): Promise<Answer> => {
  const response = await fetch(`${world().workerUrl}/api/summary`, {
    headers: { authorization: `Bearer ${key}`, ...headers },
  })
  return { status: response.status, headers: response.headers, body: (await response.json()) as Answer["body"] }
}

describe("calls of the API", () => {
  test("of one company are limited over all its keys; another's are not touched", async () => {
    await addCompany("calling")
    await addCompany("waiting")
    const keys = [await newApiKey("admin", "calling"), await newApiKey("success-manager", "calling")]
    const answers = await sequentially(API_PER_MINUTE + 6, (index) => call(keys[index % 2] ?? ""))
    expect(statusesOf(answers)).toEqual({ 200: API_PER_MINUTE, 429: 6 })
    expectTooMany(answers.at(-1) as Answer) // thirty-six were sent
    expect((await call(await newApiKey("admin", "waiting"))).status).toBe(200)
  })

  test.each(["down", "hang", "error", "drop", "slow"])(
    "are limited by the isolate alone while Redis is in mode %s, and none is a 5xx or waits",
    async (mode) => {
      const company = fresh("company")
      await addCompany(company)
      const key = await newApiKey("admin", company)
      await setFault("redis", mode)
      const startedAt = performance.now()
      const answers = await sequentially(API_PER_MINUTE + 6, () => call(key))
      expect(statusesOf(answers)).toEqual({ 200: API_PER_MINUTE, 429: 6 })
      // Redis is tried every two seconds, for 300 ms.
      expect(performance.now() - startedAt).toBeLessThan(10_000)
      expect((await delivery()).status).toBe(200)
      await setFault("redis", "off")
      await new Promise((resolve) => setTimeout(resolve, 2_100)) // as long as Redis is not called after a failure
    },
  )
})

describe("brute force of keys", () => {
  test("is blocked after ten, also with a valid key; another address is not affected, and Redis contains no address", async () => {
    const ip = address()
    const guesses = await sequentially(FAILED_AUTH_PER_5_MINUTES + 3, (index) => call(`a-guess-${index}`, from(ip)))
    expect(statusesOf(guesses)).toEqual({ 401: FAILED_AUTH_PER_5_MINUTES, 429: 3 })
    expectTooMany(await call(world().adminApiKey, from(ip)))
    expect((await call(world().adminApiKey, from(address()))).status).toBe(200)
    // Jobs accept the same keys, and share the count.
    const job = await post("/jobs/sweep", "{}", { ...from(ip), authorization: `Bearer ${world().adminApiKey}` })
    expectTooMany(job)
    const keys = await redis<string[]>("KEYS", "*")
    expect(keys.some((key) => key.startsWith("rate:auth:"))).toBe(true)
    expect(keys.filter((key) => key.includes(ip) || key.includes("198.51"))).toEqual([])
    await advanceClock("PT11M")
    expect((await call(world().adminApiKey, from(ip))).status).toBe(200)
  })

  test("costs Postgres and Redis ten round trips, and then none", async () => {
    const ip = address()
    await sequentially(FAILED_AUTH_PER_5_MINUTES, (index) => call(`another-guess-${index}`, from(ip)))
    await early()
    await control("DELETE", "/stats")
    await sequentially(100, (index) => call(`one-more-guess-${index}`, from(ip)))
    const { postgres, redis: redisTrips } = await stats()
    expect({ postgres, redisTrips }).toEqual({ postgres: 0, redisTrips: 0 })
  })
})

describe("rate limit headers", () => {
  const limitHeadersOf = ({ headers }: { readonly headers: Headers }) => ({
    limit: headers.get("ratelimit-limit"),
    policy: headers.get("ratelimit-policy"),
    left: Number(headers.get("ratelimit-remaining")),
    seconds: Number(headers.get("ratelimit-reset")),
  })

  test("of a company's limit, on deliveries and calls", async () => {
    const company = fresh("company")
    await addCompany(company)
    const sent = limitHeadersOf(await delivery({ path: `/api/webhooks/stripe/${company}` }))
    const policy = `${WEBHOOKS_PER_MINUTE};w=60`
    expect(sent).toMatchObject({ limit: String(WEBHOOKS_PER_MINUTE), policy, left: WEBHOOKS_PER_MINUTE - 1 })
    const key = await newApiKey("admin", company)
    expect(limitHeadersOf(await call(key))).toMatchObject({ limit: String(API_PER_MINUTE), left: API_PER_MINUTE - 1 })
    const again = limitHeadersOf(await call(key))
    expect(again).toMatchObject({ policy: `${API_PER_MINUTE};w=60`, left: API_PER_MINUTE - 2 })
    for (const { seconds } of [sent, again]) {
      expect(seconds).toBeGreaterThan(0)
      expect(seconds).toBeLessThanOrEqual(60)
    }
  })

  test("of a client's limit, on bad posts, links and health", async () => {
    const ip = address()
    expect(limitHeadersOf(await bad(from(ip)))).toMatchObject({ limit: "60", policy: "60;w=60", left: 59 })
    for (const [path, limit] of [
      ["/r/nothing", 600],
      ["/unsubscribe/nothing", 599],
      ["/api/health/live", 300],
    ] as const) {
      const response = await fetch(`${world().workerUrl}${path}`, { headers: from(ip) })
      expect([path, limitHeadersOf(response).left]).toEqual([path, limit - 1])
    }
  })
})

// The last test: for the rest of the minute this isolate looks up no unknown name.
test("a distributed flood of unknown companies is looked up a limited number of times; known ones pass", async () => {
  await addCompany("known")
  const path = "/api/webhooks/stripe/known"
  expect((await delivery({ path })).status).toBe(200)
  await early()
  await control("DELETE", "/stats")
  const answers: Answer[] = []
  for (let index = 0; index < 1_000; index += 20) {
    answers.push(
      ...(await Promise.all(
        Array.from({ length: 20 }, () => bad(from(address()), `/api/webhooks/stripe/${fresh("nobody")}`)),
      )),
    )
  }
  expect((await stats()).postgres).toBeLessThanOrEqual(640)
  expect(statusesOf(answers)["429"]).toBeGreaterThan(300)
  expect((await delivery({ path })).status).toBe(200)
})
