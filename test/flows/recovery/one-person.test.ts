/** Per-person limits: customers who share an address, and several open cases of one member. */
import pg from "pg"
import { beforeEach, describe, expect, test } from "vitest"
import {
  caseOf,
  failPayment,
  linksIn,
  messages,
  payInvoice,
  sendNewCustomer,
  WITHOUT_ADDRESS,
} from "../../support/actions/members.ts"
import { envelope, fresh, sendStripe } from "../../support/events/providers.ts"
import {
  advanceClock,
  api,
  control,
  type MailboxMessage,
  mailbox,
  reset,
  sql,
  waitFor,
  waitUntilProcessed,
  world,
  worldNow,
} from "../../support/world/world.ts"

beforeEach(reset)

/** Two customers of the company with one address, spelt in two ways. */
async function sharedCustomers(): Promise<readonly [string, string]> {
  const [one, other] = [fresh("cus"), fresh("cus")]
  await sendNewCustomer(one, { email: "Ada.Twin@Example.com" })
  await sendNewCustomer(other, { email: "ada.twin@example.com" })
  await waitUntilProcessed()
  return [one, other]
}

const toShared = async () => (await mailbox()).filter(({ to }) => to.toLowerCase() === "ada.twin@example.com")

async function unsubscribe(message: MailboxMessage | undefined): Promise<void> {
  if (!message) throw new Error("no message came")
  const answer = await fetch(linksIn(message).unsubscribe, {
    method: "POST",
    body: "List-Unsubscribe=One-Click",
    headers: { "content-type": "application/x-www-form-urlencoded" },
  })
  expect(answer.status).toBe(200)
}

describe("two customers with one address", () => {
  test("get one message for invoices that fail together, with the total", async () => {
    const [one, other] = await sharedCustomers()
    const [first, second] = [fresh("in"), fresh("in")]
    await Promise.all([failPayment(one, first, WITHOUT_ADDRESS), failPayment(other, second, WITHOUT_ADDRESS)])
    await messages(1)
    await advanceClock("PT10M")
    const [message, ...more] = await toShared()
    expect(more).toEqual([])
    expect(message?.body).toContain("In all, 2 invoices are open, together $39.98.")
    await advanceClock("P2D")
    await advanceClock("P2DT1H")
    expect((await toShared()).filter(({ subject }) => subject?.startsWith("Last reminder"))).toHaveLength(1)
    expect(await toShared()).toHaveLength(3)
    const reasons = [...(await caseOf(first)).nudges, ...(await caseOf(second)).nudges].map(({ reason }) => reason)
    expect(reasons.filter((reason) => reason === "same_conversation")).toHaveLength(3)
  })

  test("get one message when both nudges are sent at the same moment", async () => {
    const [one, other] = await sharedCustomers()
    const [first, second] = [fresh("in"), fresh("in")]
    await failPayment(one, first, WITHOUT_ADDRESS)
    await failPayment(other, second, WITHOUT_ADDRESS)
    await waitUntilProcessed()
    // The younger of two invoices waits for the older one's plan. A manual nudge has no plan, so only the frequency cap prevents
    // the second message.
    const settings = { frequencyCaps: [{ max: 1, hours: 24 }], quietHours: null }
    await api("/api/settings", {
      method: "PUT",
      body: JSON.stringify(settings),
      headers: { "content-type": "application/json" },
    })
    await Promise.all(
      [first, second].map((invoice) =>
        api(`/api/cases/payment_${invoice}/nudge`, {
          method: "POST",
          body: "{}",
          headers: { "content-type": "application/json", "idempotency-key": fresh("key") },
        }),
      ),
    )
    await messages(1)
    await advanceClock("PT10M")
    expect(await toShared()).toHaveLength(1)
  })

  test("are sent to one after the other: a sender that decided meanwhile must decide again", async () => {
    const ids = (await sharedCustomers()).map((customer) => `stripe_${customer}`)
    const [first, second] = [0, 1].map(() => new pg.Client({ connectionString: world().postgresUrl }))
    if (!first || !second) throw new Error("two sessions")
    const clients = [first, second]
    for (const client of clients) await client.connect()
    try {
      const marks: string[] = []
      for (const [place, client] of clients.entries()) {
        await client.query("begin")
        await client.query("select set_config('app.company_id', $1, true)", [world().companyId])
        const { rows } = await client.query("select person_mark($1) as mark", [ids[place]])
        marks.push(rows[0].mark)
      }
      const changed = "select changed_persons(array[$1], array[$2]) as customers"
      await first.query(changed, [ids[0], marks[0]])
      const outcome = second.query(changed, [ids[1], marks[1]]).then(({ rows }) => rows[0].customers)
      await first.query("update customers set version = version + 1 where id = $1", [ids[0]])
      // Waits for the lock, then sees what was committed meanwhile.
      expect(await Promise.race([outcome, new Promise((resolve) => setTimeout(() => resolve("waits"), 200))])).toBe(
        "waits",
      )
      await first.query("commit")
      expect(await outcome).toEqual([ids[1]])
    } finally {
      for (const client of clients) await client.end()
    }
  })

  test("are both opted out when one of them is, also a customer who is added later", async () => {
    const [one, other] = await sharedCustomers()
    const [first, second, third] = [fresh("in"), fresh("in"), fresh("in")]
    await failPayment(one, first, WITHOUT_ADDRESS)
    const [message] = await messages(1)
    await unsubscribe(message)
    await failPayment(other, second, WITHOUT_ADDRESS)
    const late = fresh("cus")
    await sendNewCustomer(late, { email: "ADA.TWIN@example.com" })
    await failPayment(late, third, WITHOUT_ADDRESS)
    await advanceClock("PT10M")
    await advanceClock("P2D")
    expect(await toShared()).toHaveLength(1)
    for (const invoice of [second, third]) {
      const { nudges, customerId } = await caseOf(invoice)
      expect(nudges[0]).toMatchObject({ status: "suppressed", reason: "opted_out" })
      const customer = await api<{ consents: { isGranted: boolean; via: string }[] }>(`/api/customers/${customerId}`)
      expect(customer.body.consents).toMatchObject([{ isGranted: false, via: "address" }])
    }
    // The opt-out belongs to the address at that time, also after a change.
    await sendStripe(
      envelope("customer.updated", await worldNow(), fresh("evt"), {
        ...{ id: one, object: "customer", name: "Ann", email: "elsewhere@example.com", phone: null },
        ...{ preferred_locales: [], metadata: {} },
      }),
    )
    await waitUntilProcessed()
    const rows = await sql("select from customer_addresses where customer_id = $1", [`stripe_${one}`])
    expect(rows).toHaveLength(2)
  })

  test("are one person again after sweep, if their contacts were stored before there was an index", async () => {
    const [one, other] = await sharedCustomers()
    await sql("delete from customer_addresses")
    await sql("update customer_pii set indexed_version = null")
    await control("POST", "/clock", { advance: "PT2M" })
    await waitFor(async () => (await sql("select from customer_addresses")).length === 2)
    const [first, second] = [fresh("in"), fresh("in")]
    await failPayment(one, first, WITHOUT_ADDRESS)
    await failPayment(other, second, WITHOUT_ADDRESS)
    await messages(1)
    await advanceClock("PT10M")
    expect(await toShared()).toHaveLength(1)
  })

  test("of another company are not affected", async () => {
    await sharedCustomers()
    const rows = await sql<{ company_id: string }>("select distinct company_id from customer_addresses")
    expect(rows).toEqual([{ company_id: world().companyId }])
  })
})

describe("several open invoices of one member", () => {
  test("share one sequence: the next message has the new total, and the last reminder is sent once", async () => {
    const customer = fresh("cus")
    await sendNewCustomer(customer, { email: "weekly@example.com" })
    const invoices = [fresh("in"), fresh("in"), fresh("in")]
    for (const invoice of invoices) {
      await failPayment(customer, invoice, WITHOUT_ADDRESS)
      await messages(1)
      await advanceClock("PT20H")
    }
    await advanceClock("P5D")
    const sent = await mailbox()
    expect(sent.map(({ body }) => /In all, (\d) invoices/.exec(body)?.[1] ?? "1")).toEqual(["1", "3", "3"])
    expect(sent.filter(({ subject }) => subject?.startsWith("Last reminder"))).toHaveLength(1)
  })

  test("continue with the younger one when the older one is paid", async () => {
    const customer = fresh("cus")
    await sendNewCustomer(customer, { email: "weekly@example.com" })
    const [first, second] = [fresh("in"), fresh("in")]
    await failPayment(customer, first, WITHOUT_ADDRESS)
    await messages(1)
    await advanceClock("PT12H")
    await failPayment(customer, second, WITHOUT_ADDRESS)
    await waitUntilProcessed()
    await advanceClock("PT1H")
    await payInvoice(customer, first)
    await waitUntilProcessed()
    await advanceClock("P2D")
    await advanceClock("P3D")
    expect((await caseOf(second)).nudges.map(({ status, reason }) => reason ?? status)).toEqual([
      "same_conversation",
      "sent",
      "sent",
    ])
    expect(await mailbox()).toHaveLength(3)
  })
})
