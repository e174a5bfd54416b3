/** Two concurrent writers of one customer, the second committing between two steps of the first: nothing is lost. */
import { beforeEach, expect, test } from "vitest"
import { makeHistories, putHistories, sinceOf, startBackfill, step } from "../../support/actions/backfills.ts"
import { byQstash } from "../../support/actions/jobs.ts"
import { caseOf, failPayment, messages, sendNewCustomer, WITHOUT_ADDRESS } from "../../support/actions/members.ts"
import { envelope, fresh, invoiceEvent, sendStripe } from "../../support/events/providers.ts"
import { IS_FIRST_TO_PAUSE, pauseWhile, withPausePoint } from "../../support/world/pause-points.ts"
import { advanceClock, reset, sql, waitFor, waitUntilProcessed, world, worldNow } from "../../support/world/world.ts"

beforeEach(reset)

/** The delivery of this event is paused. */
const PAUSED = "evt_held"
const isHeld = `'${PAUSED}' = ANY (p_provider_event_ids)`

/** Between recording the facts of a delivery and reading the customer's stream. */
const beforeReading = (body: string): string =>
  body.replace("  RETURN json_build_object(\n    'outcomes'", `  ${pauseWhile(isHeld)}\n$&`)

/** Between reading the stream and committing the record. */
const afterReading = (body: string): string =>
  body.replace(
    /RETURN (json_build_object\(\s*'outcomes'[\s\S]*?\));\s*END/,
    (_, result) => `v_facts := ARRAY[(${result})::text]; ${pauseWhile(isHeld)} RETURN v_facts[1]; END`,
  )

const later = (at: Date, seconds: number) => new Date(at.getTime() + seconds * 1000)

const chargeFailed = (customer: string, at: Date) =>
  sendStripe(
    envelope("charge.failed", at, fresh("evt"), {
      id: fresh("ch"),
      object: "charge",
      customer,
      currency: "usd",
      amount: 500,
      failure_code: "card_declined",
      outcome: { reason: "expired_card" },
    }),
  )

const pausedFailure = (customer: string, invoice: string, at: Date) =>
  sendStripe(invoiceEvent({ type: "invoice.payment_failed", id: PAUSED, at, customer, invoice }))

const versionOf = async (customer: string): Promise<number> => {
  const [row] = await sql<{ version: number }>("select version from customers where provider_customer_id = $1", [
    customer,
  ])
  return row?.version ?? 0
}

/** Waits until another session has committed. */
const committedAfter = (customer: string, version: number) => waitFor(async () => (await versionOf(customer)) > version)

const statusOf = async (invoice: string) =>
  (await sql<{ status: string }>("select status from recovery_cases where invoice_id = $1", [invoice]))[0]?.status

test("a delivery, while another one with a later fact is committed", async () => {
  const at = await worldNow()
  await sendStripe(
    envelope("customer.created", later(at, -60), fresh("evt"), {
      id: "cus_a",
      object: "customer",
      email: "a@example.com",
    }),
  )
  await waitUntilProcessed()
  await withPausePoint("record_deliveries", beforeReading, async (pausePoint) => {
    const version = await versionOf("cus_a")
    const held = pausedFailure("cus_a", "in_a", later(at, -30))
    await pausePoint.reached()
    await chargeFailed("cus_a", later(at, -20))
    await committedAfter("cus_a", version)
    await pausePoint.resume()
    expect((await held).status).toBe(200)
  })
  await waitUntilProcessed()
  expect(await statusOf("in_a")).toBe("open")
})

test("a delivery, while a nudge is sent from a ledger with a later fact", async () => {
  const at = await worldNow()
  await failPayment("cus_b", "in_b1")
  const nudgeId = (await caseOf("in_b1")).nudges.find(({ step }) => step === 0)?.id
  // Recorded, then its worker is lost.
  await sql(
    `insert into facts (company_id, id, provider, subject, kind, rank, occurred_at, recorded_at, known_at, body)
     values ($1, 'lost.0', 'stripe', 'cus_b', 'customer_seen', 0, $2, $2, $2, '{"kind": "customer_seen", "hasPhone": false}')`,
    [world().companyId, later(at, 240)],
  )
  await withPausePoint("record_deliveries", beforeReading, async (pausePoint) => {
    const version = await versionOf("cus_b")
    const held = pausedFailure("cus_b", "in_b2", later(at, 120))
    await pausePoint.reached()
    await byQstash("nudges", JSON.stringify({ companyId: world().companyId, nudgeIds: [nudgeId], owner: null }))
    await committedAfter("cus_b", version)
    await pausePoint.resume()
    expect((await held).status).toBe(200)
  })
  await waitUntilProcessed()
  expect(await statusOf("in_b2")).toBe("open")
})

test("a delivery, while a page with later facts is imported", async () => {
  const pasts = await makeHistories(1)
  await putHistories(pasts)
  const [{ customer = "" } = {}] = pasts
  const at = await worldNow()
  const DAY = 86_400
  const created = envelope("customer.created", later(at, -400 * DAY), fresh("evt"), {
    id: customer,
    object: "customer",
  })
  await sendStripe(created)
  await waitUntilProcessed()
  await withPausePoint("record_deliveries", beforeReading, async (pausePoint) => {
    const version = await versionOf(customer)
    const held = pausedFailure(customer, "in_c", later(at, -390 * DAY))
    await pausePoint.reached()
    const { body } = await startBackfill({ provider: "stripe", since: await sinceOf() })
    // One page, so that the delivery waits less than the Worker's database time-out.
    await step(body.id)
    expect(await versionOf(customer)).toBeGreaterThan(version)
    await pausePoint.resume()
    expect((await held).status).toBe(200)
  })
  await waitUntilProcessed()
  await waitFor(async () => (await statusOf("in_c")) === "open")
})

test("two commits that each folded without the other's fact, one of them changing nothing", async () => {
  const at = await worldNow()
  // The invoice is linked already, so that neither delivery waits for the other's locks.
  await sendStripe(invoiceEvent({ type: "invoice.finalized", at, customer: "cus_d", invoice: "in_d" }))
  await waitUntilProcessed()
  await withPausePoint("record_deliveries", afterReading, async (pausePoint) => {
    const held = pausedFailure("cus_d", "in_d", later(at, -3600))
    await pausePoint.reached()
    // In this reading nothing is owed.
    const id = fresh("evt")
    await sendStripe(
      invoiceEvent({
        type: "invoice.voided",
        id,
        at: later(at, -1800),
        customer: "cus_d",
        invoice: "in_d",
        more: { status: "void" },
      }),
    )
    await waitFor(async () => {
      const [row] = await sql<{ status: string }>("select status from webhook_events where provider_event_id = $1", [
        id,
      ])
      return row?.status === "processed"
    })
    await pausePoint.resume()
    expect((await held).status).toBe(200)
  })
  await waitUntilProcessed()
  expect(await statusOf("in_d")).not.toBe("open")
})

test("a nudge waits for an address that is in the ledger and whose event is not committed yet", async () => {
  const first = (body: string) =>
    body.replace(/\bBEGIN\b/, `BEGIN ${pauseWhile(`'stripe_cus_e' = ANY (p_customers) AND ${IS_FIRST_TO_PAUSE}`)}`)
  await withPausePoint("commit_streams", first, async (pausePoint) => {
    await sendNewCustomer("cus_e", { email: "eve@example.com" })
    await pausePoint.reached()
    await failPayment("cus_e", "in_e", WITHOUT_ADDRESS)
    const [planned] = await waitFor(async () => {
      const rows = await sql<{ id: string }>("select id from nudges where customer_id = 'stripe_cus_e' and step = 0")
      return rows.length > 0 && rows
    })
    const nudgeIds = [planned?.id]
    await byQstash("nudges", JSON.stringify({ companyId: world().companyId, nudgeIds, owner: null }))
    const [nudge] = await sql("select status, reason from nudges where id = $1", nudgeIds)
    expect(nudge).toEqual({ status: "planned", reason: "address_pending" })
    await pausePoint.resume()
  })
  await waitUntilProcessed()
  await advanceClock("PT20S")
  const [message] = await messages(1)
  expect(message?.to).toBe("eve@example.com")
  const sent = await sql("select status, reason from nudges where customer_id = 'stripe_cus_e' and step = 0")
  expect(sent).toEqual([{ status: "sent", reason: null }])
})
