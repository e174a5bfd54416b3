import { beforeEach, describe, expect, test } from "vitest"
import { TEST_COMPANY, useDatabase } from "../../../test/support/database.ts"
import { readEffects } from "./effects.ts"
import type { InterventionFilter } from "./interventions.ts"

const { db, rows, addCompany } = useDatabase()

const day = (n: number) => new Date(Date.UTC(2026, 2, 1 + n, 12))
const EXPERIMENT = "11111111-1111-4111-8111-111111111111"
const TEMPLATE = "22222222-2222-4222-8222-222222222222"

async function addVersion(version: number, at: Date, experiment: object | null, company = TEST_COMPANY): Promise<void> {
  await addCompany(company)
  await rows(
    `INSERT INTO message_templates (company_id, id, version, case_kind, words, is_in_force, experiment, created_at, created_by)
      VALUES ($1, $2, $3, 'payment', '{}', true, $4, $5, 'k')`,
    [company, TEMPLATE, version, experiment === null ? null : JSON.stringify(experiment), at],
  )
}

const experiment = (id: string) => ({ id, startedAt: day(0).toISOString(), controlWeight: 1, variants: [] })

interface Case {
  readonly variant?: string
  readonly kind?: string
  readonly status?: string
  readonly assigned?: Date
  readonly closed?: Date | null
  readonly currency?: string
  readonly company?: string
}

let count = 0

/** A case that was assigned to a variant; its id. */
async function addCase(given: Case = {}): Promise<string> {
  const { variant = "short", kind = "payment", status = "open", assigned = day(1) } = given
  const { closed = null, currency = "usd", company = TEST_COMPANY } = given
  count += 1
  const id = `case ${count}`
  await addCompany(company)
  await rows(
    `INSERT INTO customers (company_id, id, provider, provider_customer_id, created_at, updated_at)
      VALUES ($1, 'customer', 'stripe', 'customer', $2, $2) ON CONFLICT DO NOTHING`,
    [company, day(0)],
  )
  await rows(
    `INSERT INTO recovery_cases (company_id, id, customer_id, provider, kind, status, amount_minor, recovered_minor, currency,
        failure_count, opened_at, closed_at)
      VALUES ($1, $2, 'customer', 'stripe', $3, $4, 100, 0, $5, 1, $6, $7)`,
    [company, id, kind, status, currency, day(0), closed],
  )
  await assign(id, variant, assigned, company)
  return id
}

const assign = (caseId: string, variant: string, at: Date, company = TEST_COMPANY) =>
  rows(
    `INSERT INTO facts (company_id, id, provider, subject, kind, rank, occurred_at, recorded_at, known_at, body)
      VALUES ($1, $2, 'stripe', 'customer', 'variant_assigned', 68, $3, $3, $3, $4)`,
    [
      ...[company, `variant_assigned:${EXPERIMENT}:${caseId}:${variant}`, at],
      JSON.stringify({ kind: "variant_assigned", caseId, experimentId: EXPERIMENT, variant }),
    ],
  )

const read = async (filter: InterventionFilter = {}, now = day(11), horizonDays = 10) => {
  const { variants } = await readEffects(db, TEST_COMPANY, filter, { now, horizonDays })
  return variants.map((row) => [row.variant, row.cases, row.matured, row.successes]).sort()
}

describe("comparisons", () => {
  test("are those of the company, started last first, with the time of their end", async () => {
    await addVersion(1, day(0), null)
    await addVersion(2, day(1), experiment("first"))
    await addVersion(3, day(2), null)
    await addVersion(4, day(3), experiment("second"))
    await addVersion(1, day(4), experiment("theirs"), "other")
    const { experiments } = await readEffects(db, TEST_COMPANY, {}, { now: day(5), horizonDays: 1 })
    expect(experiments.map(({ experiment: { id }, version, endedAt }) => [id, version, endedAt])).toEqual([
      ["second", 4, null],
      ["first", 2, day(2)],
    ])
    expect(experiments[0]).toMatchObject({ id: TEMPLATE, caseKind: "payment", stage: null })
  })
})

describe("cases", () => {
  beforeEach(() => {
    count = 0
  })

  test("mature a horizon after their assignment, and succeed if they were recovered by then", async () => {
    await addCase({ status: "recovered", closed: day(11) })
    await addCase({ status: "recovered", closed: new Date(day(11).getTime() + 1) })
    await addCase({ status: "lost", closed: day(2) })
    await addCase()
    await addCase({ assigned: new Date(day(1).getTime() + 1), status: "recovered", closed: day(2) })
    expect(await read()).toEqual([["short", 5, 4, 1]])
    expect(await read({}, day(12))).toEqual([["short", 5, 5, 2]])
  })

  test("at risk succeed unless the member had left by then", async () => {
    await addCase({ kind: "at_risk", status: "lost", closed: day(11) })
    await addCase({ kind: "at_risk", status: "lost", closed: day(12) })
    await addCase({ kind: "at_risk" })
    expect(await read()).toEqual([["short", 3, 3, 2]])
  })

  test("count by their variant, each once, with their first assignment", async () => {
    await addCase({ variant: "control" })
    const twice = await addCase({ variant: "short", assigned: day(1) })
    await assign(twice, "warm", day(3))
    expect(await read()).toEqual([
      ["control", 1, 1, 0],
      ["short", 1, 1, 0],
    ])
  })

  test("are those of the company and the filter", async () => {
    await addCase({ company: "other" })
    await addCase({ currency: "eur" })
    await addCase({ kind: "cancellation" })
    expect(await read({ kind: "cancellation" })).toEqual([["short", 1, 1, 0]])
    expect(await read({ currency: "eur" })).toEqual([["short", 1, 1, 0]])
    expect(await read({ from: new Date(day(0).getTime() + 1) })).toEqual([])
    expect(await read({ to: day(0) })).toEqual([])
    expect(await read({ from: day(0), to: day(1) })).toEqual([["short", 2, 2, 0]])
  })
})

test("only the assignments of comparisons are read, whatever else the ledger holds", async () => {
  await rows(
    `INSERT INTO facts (company_id, id, provider, subject, kind, rank, occurred_at, recorded_at, known_at, body)
      SELECT $1, 'f' || n, 'stripe', 's' || n % 500, 'nudge_sent', 74, $2, $2, $2, '{"kind": "nudge_sent"}' FROM generate_series(1, 5000) n`,
    [TEST_COMPANY, day(0)],
  )
  await rows("ANALYZE facts")
  const plan = await rows<{ "QUERY PLAN": string }>(
    `EXPLAIN SELECT body FROM facts WHERE company_id = '${TEST_COMPANY}' AND kind = 'variant_assigned'`,
  )
  const text = plan.map((line) => line["QUERY PLAN"]).join("\n")
  expect(text).toMatch(/Index Scan using \S+ on facts_default/)
})
