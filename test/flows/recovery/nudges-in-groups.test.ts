/** Nudges that come in one message of QStash: sent together, and each by its own rules. */
import pg from "pg"
import { afterEach, beforeEach, expect, test } from "vitest"
import { failPayment, sendNewCustomer, WITHOUT_ADDRESS } from "../../support/actions/members.ts"
import { fresh } from "../../support/events/providers.ts"
import {
  mailbox,
  reset,
  setFault,
  settle,
  sql,
  stats,
  waitFor,
  waitUntilProcessed,
  world,
} from "../../support/world/world.ts"

beforeEach(reset)
afterEach(() => setFault("qstash", "off"))

/** Due nudges of as many members, which QStash has not heard of; their ids by the members. */
async function dueNudges(emails: readonly string[]): Promise<{ readonly id: string; readonly customer: string }[]> {
  await setFault("qstash", "down")
  for (const email of emails) {
    const customer = fresh("cus")
    await sendNewCustomer(customer, { email })
    await failPayment(customer, fresh("in"), WITHOUT_ADDRESS)
  }
  await waitUntilProcessed()
  await setFault("qstash", "off")
  const found = await sql<{ id: string; customer: string }>(
    "select n.id, n.customer_id as customer from nudges n join customers c on c.id = n.customer_id where step = 0 order by c.created_at",
  )
  expect(found).toHaveLength(emails.length)
  return found
}

async function publish(nudgeIds: readonly string[]): Promise<void> {
  const { QSTASH_URL: url = "", QSTASH_TOKEN: token = "", APP_URL: app = "" } = world().vars
  const published = await fetch(`${url}/v2/publish/${app}/jobs/nudges`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json", "upstash-retries": "0" },
    body: JSON.stringify({ companyId: world().companyId, nudgeIds, owner: null }),
  })
  expect(published.ok).toBe(true)
}

const statuses = async () =>
  (await sql<{ status: string }>("select status from nudges where step = 0 order by id")).map(({ status }) => status)

const members = (count: number) => Array.from({ length: count }, (_, place) => `member-${place}@example.com`)

test("five nudges of a message take three calls: claims, marks, receipts", async () => {
  const due = await dueNudges(members(6))
  // The first one reads the company's credentials, which are then cached.
  const first = due.pop()
  await publish([first?.id ?? ""])
  await waitFor(async () => (await mailbox()).length === 1)
  await settle()
  const before = (await stats()).postgres ?? 0
  await publish(due.map(({ id }) => id))
  await waitFor(async () => (await mailbox()).length === 6)
  await settle()
  expect(new Set((await mailbox()).map(({ to }) => to))).toEqual(new Set(members(6)))
  expect(await statuses()).toEqual(["sent", "sent", "sent", "sent", "sent", "sent"])
  expect(((await stats()).postgres ?? 0) - before).toBe(3)
})

test("two customers of one person in a message get one message", async () => {
  const due = await dueNudges(["ada.twin@example.com", "Ada.Twin@example.com", "eve@example.com"])
  await publish(due.map(({ id }) => id))
  await waitFor(async () => (await mailbox()).length === 2)
  await settle()
  expect((await mailbox()).map(({ to }) => to.toLowerCase()).sort()).toEqual([
    "ada.twin@example.com",
    "eve@example.com",
  ])
})

test("a nudge that another writer has locked delays no other, and is sent afterwards", async () => {
  const [locked, ...others] = await dueNudges(members(3))
  const writer = new pg.Client({ connectionString: world().postgresUrl })
  await writer.connect()
  try {
    await writer.query("begin")
    await writer.query("select from nudges where id = $1 for update", [locked?.id])
    await publish([locked, ...others].map((nudge) => nudge?.id ?? ""))
    await waitFor(async () => (await mailbox()).length === 2)
    await writer.query("rollback")
    await waitFor(async () => (await mailbox()).length === 3)
  } finally {
    await writer.end()
  }
  await settle()
  expect(await statuses()).toEqual(["sent", "sent", "sent"])
})

test("a member who cannot be read stops no other", async () => {
  const [broken, ...others] = await dueNudges(members(3))
  await sql(`update customers set undo = '{"version":"none"}' where id = $1`, [broken?.customer])
  await publish([broken, ...others].map((nudge) => nudge?.id ?? ""))
  await waitFor(async () => (await mailbox()).length === 2)
  await settle()
  expect((await statuses()).sort()).toEqual(["planned", "sent", "sent"])
})
