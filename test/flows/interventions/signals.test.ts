/** A company's signals about its customers: usage and support tickets, each recorded once. */
import { beforeEach, describe, expect, test } from "vitest"
import { addCompany, newApiKey } from "../../support/actions/companies.ts"
import { failWhopPayment, sendNewCustomer } from "../../support/actions/members.ts"
import { setSwitchForAll } from "../../support/world/external-services.ts"
import { advanceClock, api, reset, sql, waitFor, waitUntilProcessed, worldNow } from "../../support/world/world.ts"

beforeEach(reset)

interface Answer {
  readonly data: readonly {
    readonly id: string | null
    readonly status: string
    readonly customerId: string | null
    readonly error: { readonly code: string; readonly detail: string } | null
  }[]
  readonly recorded: number
  readonly duplicate: number
  readonly refused: number
}

const post = (path: string, body: unknown, key?: string) =>
  api<Answer>(path, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "content-type": "application/json" },
    ...(key !== undefined && { key }),
  })

const use = (id: string, customerId: string, more: Readonly<Record<string, unknown>> = {}) => ({
  ...{ id, customerId, meter: "logins", quantity: 2 },
  ...more,
})

const ledger = () =>
  sql<{ kind: string; subject: string; body: Record<string, unknown> }>(
    "select kind, subject, body from facts where kind in ('usage_recorded', 'ticket_opened', 'ticket_closed') order by id",
  )

const usedBy = async (customerId: string) =>
  (
    await sql<{ usage: Record<string, { total: number }> | null }>(
      "select state -> 'usage' as usage from customers where id = $1",
      [customerId],
    )
  )[0]?.usage

describe("signals", () => {
  test("are recorded once under the sender's id, and folded; the customer by our id or the provider's", async () => {
    await sendNewCustomer("cus_sig1", {})
    await waitUntilProcessed()
    const batch = { records: [use("u1", "cus_sig1"), use("u2", "stripe_cus_sig1", { quantity: 3 })] }
    const first = await post("/api/usage", batch)
    expect(first.status).toBe(200)
    expect(first.body).toMatchObject({ recorded: 2, duplicate: 0, refused: 0 })
    expect(first.body.data[0]).toEqual({ id: "u1", status: "recorded", customerId: "stripe_cus_sig1", error: null })

    // The same again, in another order, with an id twice and another customer for a known id.
    await failWhopPayment({ user: "user_sig1", membership: "mem_sig1", payment: "pay_sig1" }, {})
    await waitUntilProcessed()
    const again = await post("/api/usage", { records: [...batch.records].reverse() })
    expect(again.body).toMatchObject({ recorded: 0, duplicate: 2 })
    const mixed = await post("/api/usage", {
      records: [use("u1", "user_sig1"), use("u3", "cus_sig1"), use("u3", "cus_sig1", { quantity: 9 })],
    })
    expect(mixed.body.data.map(({ status }) => status)).toEqual(["duplicate", "recorded", "duplicate"])

    await waitUntilProcessed()
    expect((await usedBy("stripe_cus_sig1"))?.logins?.total).toBe(7)
    expect(await ledger()).toHaveLength(3)
    const events = await sql("select type, status, provider from webhook_events where type like 'signal.%'")
    expect(events).toHaveLength(3)
    for (const event of events)
      expect(event).toEqual({ type: "signal.usage_recorded", status: "processed", provider: "stripe" })
  })

  test("in any order fold to the same state", async () => {
    await sendNewCustomer("cus_sig2", {})
    await waitUntilProcessed()
    const now = (await worldNow()).getTime()
    const at = (days: number) => new Date(now - days * 86_400_000).toISOString()
    await post("/api/usage", { records: [use("l1", "cus_sig2", { occurredAt: at(0) })] })
    await post("/api/usage", { records: [use("l2", "cus_sig2", { occurredAt: at(9), quantity: 5 })] })
    await waitUntilProcessed()
    const total = await waitFor(async () => {
      const usage = await usedBy("stripe_cus_sig2")
      return usage?.logins?.total === 7 && usage.logins
    })
    expect(total).toEqual({ total: 7, at: at(0) })
  })

  test("that a lost worker left are read again from what was stored", async () => {
    await sendNewCustomer("cus_sig3", {})
    await waitUntilProcessed()
    await post("/api/usage", { records: [use("b1", "cus_sig3")] })
    await waitUntilProcessed()
    const before = await usedBy("stripe_cus_sig3")
    await sql("update webhook_events set status = 'received', next_attempt_at = received_at where type like 'signal.%'")
    await advanceClock("PT3M")
    await waitUntilProcessed()
    expect(await usedBy("stripe_cus_sig3")).toEqual(before)
    expect(await ledger()).toHaveLength(1)
  })
})

test("are held while processing is off, and folded when it is on again", async () => {
  await sendNewCustomer("cus_sig7", {})
  await waitUntilProcessed()
  await setSwitchForAll("WEBHOOK_PROCESSING_ENABLED", false)
  expect((await post("/api/usage", { records: [use("h1", "cus_sig7")] })).body.recorded).toBe(1)
  expect(await sql("select status from webhook_events where type like 'signal.%'")).toEqual([{ status: "held" }])
  expect(await usedBy("stripe_cus_sig7")).toBeNull()
  await setSwitchForAll("WEBHOOK_PROCESSING_ENABLED", true)
  await advanceClock("PT3M")
  await waitFor(async () => (await usedBy("stripe_cus_sig7"))?.logins?.total === 2)
})

test("of tickets are in the ledger with their sentiment only", async () => {
  await sendNewCustomer("cus_sig4", {})
  await waitUntilProcessed()
  const signals = [
    { kind: "ticket_opened", id: "t1", customerId: "cus_sig4", ticketId: "77", sentiment: "negative" },
    { kind: "ticket_closed", id: "t2", customerId: "cus_sig4", ticketId: "77", sentiment: "positive" },
  ]
  expect((await post("/api/signals", { signals })).body).toMatchObject({ recorded: 2 })
  expect((await post("/api/signals", { signals })).body).toMatchObject({ duplicate: 2 })
  expect((await ledger()).map(({ body }) => body)).toEqual(
    expect.arrayContaining([
      { kind: "ticket_opened", ticketId: "77", isNegative: true },
      { kind: "ticket_closed", ticketId: "77", isNegative: false },
    ]),
  )
})

describe("refusals", () => {
  test("one invalid item does not affect the others, and may be sent again", async () => {
    await sendNewCustomer("cus_sig5", {})
    await waitUntilProcessed()
    const future = new Date((await worldNow()).getTime() + 3_600_000).toISOString()
    const { status, body } = await post("/api/usage", {
      records: [
        use("r1", "cus_nobody"),
        use("r2", "cus_sig5", { quantity: -1 }),
        use("r3", "cus_sig5", { occurredAt: future }),
        "nonsense",
        use("r4", "cus_sig5"),
      ],
    })
    expect(status).toBe(200)
    expect(body).toMatchObject({ recorded: 1, duplicate: 0, refused: 4 })
    expect(body.data.map(({ error }) => error?.code ?? null)).toEqual([
      "customer_unknown",
      "malformed",
      "occurred_at_out_of_range",
      "malformed",
      null,
    ])
    expect(body.data[1]?.error?.detail).toContain("quantity")
    expect((await post("/api/usage", { records: [use("r2", "cus_sig5")] })).body.recorded).toBe(1)
  })

  test.each([
    ["nothing in it", { records: [] }],
    ["more than a hundred", { records: Array.from({ length: 101 }, (_, n) => use(`x${n}`, "c")) }],
    ["another name", { signals: [] }],
    ["a list", []],
  ])("a batch with %s is refused as a whole", async (_, body) => {
    expect((await post("/api/usage", body)).status).toBe(400)
    expect(await ledger()).toEqual([])
  })

  test("customers of another company are unknown, and its ids are separate", async () => {
    await sendNewCustomer("cus_sig6", {})
    await waitUntilProcessed()
    await addCompany("other_sig")
    const key = await newApiKey("admin", "other_sig")
    const theirs = await post("/api/usage", { records: [use("same", "cus_sig6")] }, key)
    expect(theirs.body.data[0]?.error?.code).toBe("customer_unknown")
    expect((await post("/api/usage", { records: [use("same", "cus_sig6")] })).body.recorded).toBe(1)
  })

  test("only an admin may send signals", async () => {
    for (const role of ["success-analyst", "success-manager"] as const) {
      expect((await post("/api/usage", { records: [use("a", "b")] }, await newApiKey(role))).status).toBe(403)
      expect((await post("/api/signals", { signals: [{}] }, await newApiKey(role))).status).toBe(403)
    }
  })
})
