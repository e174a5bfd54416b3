import { expect, test } from "vitest"
import { TEST_COMPANY, useDatabase } from "../../../test/support/database.ts"
import { claimDueNudges, claimNudge, releaseLeases, upcomingNudges } from "./nudges.ts"

const { db, rows, addCompany } = useDatabase()

const at = (minute: number) => new Date(Date.UTC(2026, 9, 5, 12, minute))

/** A planned nudge of a customer of the company, due at a minute. */
async function plan(companyId: string, id: string, dueAt: Date, status = "planned"): Promise<void> {
  await addCompany(companyId)
  await rows(
    `INSERT INTO customers (company_id, id, provider, provider_customer_id, created_at, updated_at)
      VALUES ($1, $2, 'stripe', $2, $3, $3) ON CONFLICT DO NOTHING`,
    [companyId, `customer of ${id}`, at(0)],
  )
  await rows(
    `INSERT INTO nudges (company_id, id, case_id, customer_id, step, channel, status, due_at)
      VALUES ($1, $2, $2, $3, 0, 'email', $4, $5)`,
    [companyId, id, `customer of ${id}`, status, dueAt],
  )
}

const lease = (owner: string, until: Date) => ({ owner, until })

const claim = async (owner: string, now: Date, { limit = 10, companies = null as readonly string[] | null } = {}) =>
  (await claimDueNudges(db, { now, dueBefore: now, lease: lease(owner, at(30)), limit, companies })).map(({ id }) => id)

test("due nudges are claimed once, the oldest first; what is not due or not planned is left", async () => {
  await plan(TEST_COMPANY, "second", at(2))
  await plan(TEST_COMPANY, "first", at(1))
  await plan(TEST_COMPANY, "later", at(20))
  await plan(TEST_COMPANY, "sent", at(1), "sent")
  expect(await claim("a", at(10))).toEqual(["first", "second"])
  expect(await claim("b", at(10))).toEqual([])
})

test("companies take turns, so that none waits behind another's flood", async () => {
  for (const n of [1, 2, 3, 4]) await plan("flood", `flood ${n}`, at(n))
  await plan("small", "small", at(9))
  expect(await claim("a", at(10), { limit: 2 })).toEqual(expect.arrayContaining(["flood 1", "small"]))
})

test("only companies that are asked for", async () => {
  await plan(TEST_COMPANY, "ours", at(1))
  await plan("other", "theirs", at(1))
  expect(await claim("a", at(10), { companies: ["other"] })).toEqual(["theirs"])
})

test("a claim that is given back can be claimed again; another owner's stays", async () => {
  await plan(TEST_COMPANY, "first", at(1))
  await claim("a", at(10))
  await releaseLeases(db, TEST_COMPANY, "b")
  expect(await claim("c", at(10))).toEqual([])
  await releaseLeases(db, TEST_COMPANY, "a")
  expect(await claim("c", at(10))).toEqual(["first"])
})

test("a lease that has run out can be claimed again", async () => {
  await plan(TEST_COMPANY, "first", at(1))
  await claim("a", at(10))
  expect(await claim("b", at(31))).toEqual(["first"])
})

test("one nudge is claimed by whom it was handed to, and by nobody else", async () => {
  await plan(TEST_COMPANY, "first", at(1))
  await claim("dispatcher", at(10))
  const take = (dispatcher: string | null) =>
    claimNudge(db, TEST_COMPANY, "first", { dispatcher, lease: lease("worker", at(40)), now: at(11) })
  expect(await take(null)).toBeNull()
  expect(await take("somebody else")).toBeNull()
  expect((await take("dispatcher"))?.customer.id).toBe("customer of first")
  expect(await take("dispatcher")).toBeNull()
})

test("one nudge of another company cannot be claimed", async () => {
  await plan("other", "theirs", at(1))
  const claimed = claimNudge(db, TEST_COMPANY, "theirs", { dispatcher: null, lease: lease("a", at(40)), now: at(11) })
  expect(await claimed).toBeNull()
})

test("what falls due soon is listed while it is free, each company's earliest first", async () => {
  await plan(TEST_COMPANY, "due", at(1))
  await plan(TEST_COMPANY, "soon", at(12))
  await plan(TEST_COMPANY, "sooner", at(11))
  await plan(TEST_COMPANY, "far", at(50))
  const found = await upcomingNudges(db, { now: at(10), until: at(15), limit: 10, companies: null })
  expect(found.map(({ id, dueAt }) => [id, dueAt])).toEqual([
    ["sooner", at(11)],
    ["soon", at(12)],
  ])
})
