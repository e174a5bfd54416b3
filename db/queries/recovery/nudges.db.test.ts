import { expect, test } from "vitest"
import { TEST_COMPANY, useDatabase } from "../../../test/support/database.ts"
import { claimDueNudges, claimNudges, releaseLeases, upcomingNudges } from "./nudges.ts"

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
  await plan("other", "other_company", at(1))
  expect(await claim("a", at(10), { companies: ["other"] })).toEqual(["other_company"])
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

/** The customers of the nudges that were claimed, by these owners. */
async function take(ids: readonly string[], dispatcher: string | null = null): Promise<(string | null)[]> {
  const wanted = ids.map((nudgeId) => ({ nudgeId, owner: `worker of ${nudgeId}` }))
  const claims = await claimNudges(db, TEST_COMPANY, wanted, { dispatcher, until: at(40), now: at(11) })
  return claims.map((claim) => (claim === null || claim === "busy" ? claim : claim.customer.id))
}

test("one nudge is claimed by whom it was handed to, and by nobody else", async () => {
  await plan(TEST_COMPANY, "first", at(1))
  await claim("dispatcher", at(10))
  expect(await take(["first"])).toEqual([null])
  expect(await take(["first"], "somebody else")).toEqual([null])
  expect(await take(["first"], "dispatcher")).toEqual(["customer of first"])
  expect(await take(["first"], "dispatcher")).toEqual([null])
})

test("of several nudges those that are due and free are claimed, each for its own owner", async () => {
  await plan(TEST_COMPANY, "first", at(1))
  await plan(TEST_COMPANY, "claimed", at(1))
  await take(["claimed"])
  await plan(TEST_COMPANY, "later", at(20))
  await plan(TEST_COMPANY, "sent", at(1), "sent")
  await plan(TEST_COMPANY, "lost", at(1), "sending")
  await plan("other", "other_company", at(1))
  const ids = ["lost", "claimed", "unknown", "other_company", "sent", "first", "later"]
  expect(await take(ids)).toEqual(["customer of lost", null, null, null, null, "customer of first", null])
  const owners = await rows("SELECT id, lease_owner FROM nudges WHERE id IN ('first', 'lost') ORDER BY id")
  expect(owners).toEqual([
    { id: "first", lease_owner: "worker of first" },
    { id: "lost", lease_owner: "worker of lost" },
  ])
})

test("two nudges of one customer are claimed with one reading", async () => {
  await plan(TEST_COMPANY, "first", at(1))
  await rows(
    `INSERT INTO nudges (company_id, id, case_id, customer_id, step, channel, status, due_at)
      SELECT company_id, 'second', case_id, customer_id, 1, 'email', 'planned', due_at FROM nudges`,
  )
  expect(await take(["first", "second"])).toEqual(["customer of first", "customer of first"])
})

test("one nudge of another company cannot be claimed", async () => {
  await plan("other", "other_company", at(1))
  expect(await take(["other_company"])).toEqual([null])
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
