/**
 * Segments: Postgres finds what the rule in JSON describes, for any rule, in one company only, behind its flag. Over 300 lines
 * because all tests share one population.
 */
import fc from "fast-check"
import { beforeAll, describe, expect, test } from "vitest"
import {
  CHOICE_FIELDS,
  FLAG_FIELDS,
  NUMBER_FIELDS,
  type SegmentRule,
} from "../../../shared/domain/interventions/segments.ts"
import { addCompany, newApiKey } from "../../support/actions/companies.ts"
import { fresh } from "../../support/events/providers.ts"
import { putFlag } from "../../support/world/external-services.ts"
import { api, reset, sql, world, worldNow } from "../../support/world/world.ts"

const json = { "content-type": "application/json" }
const send = (method: string, path: string, body?: unknown, key?: string) =>
  api<Record<string, unknown> & { data: { id: string }[]; nextCursor: string | null; count: number }>(path, {
    method,
    ...(body !== undefined && { body: JSON.stringify(body), headers: json }),
    ...(key !== undefined && { key }),
  })

/** The fields of a customer that rules use; a choice has all values, null: unknown. */
interface Known {
  readonly id: string
  readonly choices: Readonly<Record<(typeof CHOICE_FIELDS)[number], readonly string[]>>
  readonly numbers: Readonly<Record<(typeof NUMBER_FIELDS)[number], number | null>>
  readonly flags: Readonly<Record<(typeof FLAG_FIELDS)[number], boolean>>
}

/** Whether a customer belongs to a segment: a second, simple implementation. */
function isMember(rule: SegmentRule, known: Known): boolean {
  if ("all" in rule) return rule.all.every((part) => isMember(part, known))
  if ("any" in rule) return rule.any.some((part) => isMember(part, known))
  if ("not" in rule) return !isMember(rule.not, known)
  if ("in" in rule) return known.choices[rule.field].some((value) => rule.in.includes(value))
  if ("is" in rule) return known.flags[rule.field] === rule.is
  const value = known.numbers[rule.field]
  if (value === null) return false
  return { lt: value < rule.value, lte: value <= rule.value, gt: value > rule.value, gte: value >= rule.value }[rule.op]
}

const DAY_MS = 86_400_000
const STATUSES = ["active", "trialing", "past_due", "paused"] as const
const LEVELS = ["low", "medium", "high"] as const
const MONTHS = { month: 1, year: 12 } as const

/** Customers who differ in every field of rules; a third have few known fields. */
async function populate(now: Date): Promise<Known[]> {
  const company = world().companyId
  const at = (days: number) => new Date(now.getTime() - days * DAY_MS).toISOString()
  const people: Known[] = []
  for (let n = 0; n < 36; n++) {
    const id = `stripe_cus_seg${String(n).padStart(2, "0")}`
    const isBare = n % 3 === 2
    const profile = {
      hasEmail: n % 2 === 0,
      locale: n % 4 === 0 ? "de" : null,
      timeZone: n % 5 === 0 ? "Asia/Tokyo" : null,
    }
    await sql(
      `insert into customers (company_id, id, provider, provider_customer_id, version, state, created_at, updated_at)
       values ($1, $2, $3, $4, 1, $5, $6, $6)`,
      [company, id, n % 7 === 0 ? "whop" : "stripe", `cus_seg${n}`, JSON.stringify({ profile }), at(400 - n)],
    )
    const status = STATUSES[n % 4] ?? "active"
    const interval = n % 2 === 0 ? "month" : "year"
    const ended = n % 6 === 1
    const cancels = n % 5 === 1
    const price = 500 + 137 * n
    const items = [
      {
        priceId: `price_${n % 3}`,
        productId: `prod_${n % 2}`,
        unitAmountMinor: price,
        quantity: 2,
        interval,
        intervalCount: 1,
      },
    ]
    const level = LEVELS[Math.floor(n / 3) % 3] ?? "low"
    const risk = n / 40
    if (!isBare) {
      await sql(
        `insert into subscriptions (company_id, customer_id, id, provider, status, currency, items, started_at, cancel_at, ended_at)
         values ($1, $2, 'sub', 'stripe', $3, $4, $5, $6, $7, $8)`,
        [
          company,
          id,
          status,
          n % 2 === 0 ? "usd" : "eur",
          JSON.stringify(items),
          at(10 * n + 0.5),
          cancels ? at(-9) : null,
          ended ? at(1) : null,
        ],
      )
      await sql(
        `insert into customer_scores (company_id, customer_id, prediction_id, as_of, source, model_version, probability, low,
           high, log_odds, base_rate, risk_level, coverage, confidence, not_scored, parts)
         values ($1, $2, gen_random_uuid(), $3, 'model', 'm', $4, 0, 1, 0, 0.03, $5, 1, 1, $6, '{}')`,
        [company, id, at(0), risk, level, n % 9 === 4 ? "coverage_too_low" : null],
      )
      await sql(
        `insert into payments (company_id, customer_id, invoice_id, provider, status, amount_minor, currency, refunded_minor, failed_at)
         select $1, $2, 'in_' || i, 'stripe', 'failed', 100, 'usd', 0, $3::timestamptz - make_interval(days => i * 40)
         from generate_series(0, $4::int) i`,
        [company, id, at(1), n % 4],
      )
      await sql(
        `insert into recovery_cases (company_id, id, customer_id, provider, kind, status, amount_minor, recovered_minor, failure_count, opened_at)
         values ($1, $2, $3, 'stripe', $4, $5, 1, 0, 0, $6)`,
        [
          company,
          `case_${n}`,
          id,
          n % 2 === 0 ? "payment" : "cancellation",
          n % 4 < 2 ? "open" : "lost",
          at(n * 12 + 0.5),
        ],
      )
      await sql(
        `insert into nudges (company_id, id, case_id, customer_id, channel, status, due_at, sent_at)
         values ($1, $2, 'case', $3, $4, 'sent', $5, $5)`,
        [company, `nudge_${n}`, id, n % 4 === 3 ? "slack" : "email", at(n + 0.5)],
      )
      if (n % 5 === 0) {
        await sql(`insert into consents values ($1, $2, 'recovery_messages', false, 'page', $3)`, [company, id, at(1)])
      }
    }
    const lives = !isBare && !ended
    const scored = !isBare && n % 9 !== 4
    const odds = (p: number) => p / (1 - p)
    people.push({
      id,
      choices: {
        provider: [n % 7 === 0 ? "whop" : "stripe"],
        status: lives ? [status] : [],
        plan: lives ? [`price_${n % 3}`] : [],
        product: lives ? [`prod_${n % 2}`] : [],
        interval: lives ? [interval] : [],
        currency: lives ? [n % 2 === 0 ? "usd" : "eur"] : [],
        locale: profile.locale === null ? [] : [profile.locale],
        timeZone: profile.timeZone === null ? [] : [profile.timeZone],
        riskLevel: scored ? [level] : [],
        openCase: !isBare && n % 4 < 2 ? [n % 2 === 0 ? "payment" : "cancellation"] : [],
      },
      numbers: {
        risk: scored ? risk : null,
        health: scored ? 100 / (1 + ((3 / 7) * odds(risk)) / odds(0.03)) : null,
        tenureDays: lives ? 10 * n + 0.5 : null,
        mrrMinor: lives && (status === "active" || status === "past_due") ? (2 * price) / MONTHS[interval] : null,
        failedPayments90d: isBare ? 0 : Math.min(2, n % 4) + 1,
        cases365d: !isBare && n * 12 + 0.5 < 365 ? 1 : 0,
        daysSinceContact: isBare || n % 4 === 3 ? null : n + 0.5,
      },
      flags: {
        optedOut: !isBare && n % 5 === 0,
        hasEmail: profile.hasEmail,
        cancelScheduled: lives && cancels,
        trialing: lives && status === "trialing",
      },
    })
  }
  return people
}

let people: readonly Known[]

beforeAll(async () => {
  await reset()
  people = await populate(await worldNow())
  await putFlag("ADVANCED_SEGMENTATION", { enabled: true })
})

const idsOf = (data: readonly { id: string }[]): string[] => data.map(({ id }) => id).sort()

async function membersOf(rule: unknown) {
  const made = await send("POST", "/api/segments", { name: fresh("segment"), rule })
  expect(made.status).toBe(201)
  const members = await send("GET", `/api/segments/${made.body.id}/customers?limit=200`)
  expect(members.status).toBe(200)
  await send("DELETE", `/api/segments/${made.body.id}`)
  return { ids: idsOf(members.body.data), count: members.body.count }
}

const choiceValues = [
  "stripe",
  "active",
  "trialing",
  "price_1",
  "prod_0",
  "year",
  "eur",
  "de",
  "Asia/Tokyo",
  "high",
  "payment",
  "nobody'); --",
]
const leaf: fc.Arbitrary<SegmentRule> = fc.oneof(
  fc.record({
    field: fc.constantFrom(...CHOICE_FIELDS),
    in: fc.uniqueArray(fc.constantFrom(...choiceValues), { minLength: 1, maxLength: 6 }),
  }),
  fc.record({
    field: fc.constantFrom(...NUMBER_FIELDS),
    op: fc.constantFrom("lt", "lte", "gt", "gte"),
    // No value is so close to a bound that the passing time could shift it.
    value: fc.constantFrom(0.21, 0.6, 1, 2.2, 21.2, 66.6, 100.1, 2_000.4),
  }),
  fc.record({ field: fc.constantFrom(...FLAG_FIELDS), is: fc.boolean() }),
)
const { rule: anyRule } = fc.letrec<{ rule: SegmentRule }>((tie) => ({
  rule: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    leaf,
    fc.record({ all: fc.array(tie("rule"), { minLength: 1, maxLength: 3 }) }),
    fc.record({ any: fc.array(tie("rule"), { minLength: 1, maxLength: 3 }) }),
    fc.record({ not: tie("rule") }),
  ),
}))

/** A bound for each field that some customers meet and some do not. */
const BOUNDS: Readonly<Record<(typeof NUMBER_FIELDS)[number], number>> = {
  ...{ risk: 0.21, health: 21.2, tenureDays: 100.1, mrrMinor: 2_000.4 },
  ...{ failedPayments90d: 1.5, cases365d: 0.5, daysSinceContact: 21.2 },
}

describe("the customers of a segment", () => {
  const each: SegmentRule[] = [
    ...CHOICE_FIELDS.map((field): SegmentRule => ({ field, in: choiceValues })),
    ...NUMBER_FIELDS.flatMap((field): SegmentRule[] => [
      { field, op: "gt", value: BOUNDS[field] },
      { not: { field, op: "lte", value: BOUNDS[field] } },
    ]),
    ...FLAG_FIELDS.map((field): SegmentRule => ({ field, is: true })),
  ]

  test("are those who meet the rule, for every field", async () => {
    for (const rule of each) {
      const expected = people.filter((known) => isMember(rule, known)).map(({ id }) => id)
      const { ids, count } = await membersOf(rule)
      expect([JSON.stringify(rule), ids]).toEqual([JSON.stringify(rule), expected.sort()])
      expect(count).toBe(ids.length)
      // A rule that all or none meet would not test its field.
      expect([JSON.stringify(rule), ids.length > 0 && ids.length < people.length]).toEqual([JSON.stringify(rule), true])
    }
  }, 60_000)

  test("are those who meet the rule, for any rule", async () => {
    await fc.assert(
      fc.asyncProperty(anyRule, async (rule) => {
        const expected = people.filter((known) => isMember(rule, known)).map(({ id }) => id)
        expect((await membersOf(rule)).ids).toEqual(expected.sort())
      }),
      { seed: 20261121, numRuns: 30 },
    )
  }, 120_000)

  test("come in pages, each once, with the total", async () => {
    const made = await send("POST", "/api/segments", { name: fresh("segment"), rule: { field: "hasEmail", is: true } })
    const seen: string[] = []
    for (let cursor: string | null = ""; cursor !== null; ) {
      const query: string = `limit=5${cursor === "" ? "" : `&cursor=${encodeURIComponent(cursor)}`}`
      const { body } = await send("GET", `/api/segments/${made.body.id}/customers?${query}`)
      expect(body.count).toBe(18)
      seen.push(...body.data.map(({ id }) => id))
      cursor = body.nextCursor
    }
    expect([...seen].sort()).toEqual(people.filter(({ flags }) => flags.hasEmail).map(({ id }) => id))
  })

  test("exist for each risk level without a rule of the company", async () => {
    const { body } = await send("GET", "/api/segments/risk-high/customers?limit=200")
    expect(idsOf(body.data)).toEqual(
      people.filter(({ choices }) => choices.riskLevel[0] === "high").map(({ id }) => id),
    )
    for (const method of ["PUT", "DELETE"]) {
      const { status } = await send(method, "/api/segments/risk-high", {
        name: "mine",
        rule: { field: "risk", op: "gt", value: 0 },
      })
      expect(status).toBe(409)
    }
  })
})

describe("segments are", () => {
  const rule = { field: "trialing", is: true }

  test("created, read, changed and deleted, with unique names", async () => {
    const name = fresh("Trial")
    const made = await send("POST", "/api/segments", { name, rule })
    expect(made.body).toMatchObject({ name, rule, kind: "rule", companyId: world().companyId, createdBy: "admin" })
    expect((await send("POST", "/api/segments", { name: name.toUpperCase(), rule })).status).toBe(409)
    expect((await send("GET", `/api/segments/${made.body.id}`)).body).toEqual(made.body)
    const changed = await send("PUT", `/api/segments/${made.body.id}`, { name: `${name} 2`, rule: { not: rule } })
    expect(changed.body).toMatchObject({ id: made.body.id, name: `${name} 2`, rule: { not: rule } })
    expect((await send("DELETE", `/api/segments/${made.body.id}`)).status).toBe(204)
    for (const method of ["GET", "DELETE"]) {
      expect((await send(method, `/api/segments/${made.body.id}`)).status).toBe(404)
    }
    expect((await send("PUT", `/api/segments/${made.body.id}`, { name, rule })).status).toBe(404)
  })

  test("listed in pages: the company's own, newest first, and those by risk", async () => {
    const made: string[] = []
    for (let n = 0; n < 3; n++) {
      const { body } = await send("POST", "/api/segments", { name: fresh("listed"), rule })
      made.unshift(String(body.id))
    }
    const seen: string[] = []
    for (let cursor: string | null = ""; cursor !== null; ) {
      const query: string = `limit=2${cursor === "" ? "" : `&cursor=${encodeURIComponent(cursor)}`}`
      const { body } = await send("GET", `/api/segments?${query}`)
      expect(body.data.length).toBeLessThanOrEqual(2)
      seen.push(...body.data.map(({ id }) => id))
      cursor = body.nextCursor
    }
    expect(seen.slice(0, 3)).toEqual(made)
    expect(seen.slice(-4)).toEqual(["risk-medium", "risk-low", "risk-high", "risk-critical"])
    expect(new Set(seen).size).toBe(seen.length)
  })

  test("refused with a clear message where invalid", async () => {
    for (const body of [
      { name: "x" },
      { name: "x", rule: { field: "email", in: ["a"] } },
      { name: " ", rule },
      { name: "x", rule, more: 1 },
    ]) {
      const answer = await send("POST", "/api/segments", body)
      expect([answer.status, answer.body.code]).toEqual([400, "MALFORMED"])
    }
  })

  test("written by managers and read by analysts, without names or addresses", async () => {
    const [analyst, manager] = [await newApiKey("success-analyst"), await newApiKey("success-manager")]
    expect((await send("POST", "/api/segments", { name: fresh("a"), rule }, analyst)).status).toBe(403)
    const made = await send("POST", "/api/segments", { name: fresh("m"), rule }, manager)
    expect(made.status).toBe(201)
    const { status, body } = await send("GET", `/api/segments/${made.body.id}/customers`, undefined, analyst)
    expect(status).toBe(200)
    expect(JSON.stringify(body)).not.toMatch(/email|"name"/)
  })

  test("within one company: another one cannot see or change them, and its customers are not in them", async () => {
    const other = fresh("company")
    await addCompany(other)
    const key = await newApiKey("admin", other)
    const made = await send("POST", "/api/segments", { name: fresh("ours"), rule: { field: "hasEmail", is: true } })
    for (const method of ["GET", "DELETE"]) {
      expect((await send(method, `/api/segments/${made.body.id}`, undefined, key)).status).toBe(404)
    }
    const theirs = await send(
      "POST",
      "/api/segments",
      { name: "theirs", rule: { not: { field: "trialing", is: true } } },
      key,
    )
    const { body } = await send("GET", `/api/segments/${theirs.body.id}/customers`, undefined, key)
    expect(body).toMatchObject({ data: [], count: 0, isCountComplete: true })
  })

  test("available only while the feature is on for the company", async () => {
    const other = fresh("company")
    await addCompany(other)
    const key = await newApiKey("admin", other)
    await putFlag("ADVANCED_SEGMENTATION", { enabled: true, deny: [other] })
    expect((await send("GET", "/api/segments", undefined, key)).status).toBe(409)
    expect((await send("GET", "/api/segments")).status).toBe(200)
    await putFlag("ADVANCED_SEGMENTATION", { enabled: true })
  })
})
