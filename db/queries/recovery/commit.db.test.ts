import { expect, test } from "vitest"
import type { Fact } from "../../../shared/domain/facts.ts"
import { fold, rebuild } from "../../../shared/domain/recovery/fold.ts"
import type { Nudge } from "../../../shared/domain/recovery/nudges/nudges.ts"
import { foldUndoable } from "../../../shared/domain/recovery/undo.ts"
import { EMPTY_STATE } from "../../../shared/domain/state.ts"
import { TEST_COMPANY, useDatabase } from "../../../test/support/database.ts"
import { databaseFailure } from "../../client.ts"
import { type Commit, commit, commitStreams } from "./commit.ts"
import { baseOf } from "./ledger-pages.ts"
import { type NewEvent, recordDeliveries, recordDelivery } from "./stream.ts"

const { db, rows } = useDatabase()

const AT = "2026-10-05T12:00:00.000Z"

const failed = (customer: string, invoiceId = `in_${customer}`): Fact => ({
  kind: "payment_failed",
  id: `failed ${customer}`,
  occurredAt: AT,
  invoiceId,
  subscriptionId: null,
  paymentIntentId: null,
  chargeId: null,
  amountMinor: 4_900,
  currency: "usd",
  declineCode: null,
  attempt: 1,
  nextAttemptAt: null,
  isFirstInvoice: false,
})

const eventId = (customer: string) => `00000000-0000-4000-8000-${customer.padStart(12, "0")}`

/** An event of a customer. */
function eventOf(customer: string, more: Partial<NewEvent>): NewEvent {
  const id = more.id ?? eventId(customer)
  return {
    id,
    companyId: TEST_COMPANY,
    provider: "stripe",
    account: null,
    providerEventId: `evt_${id}`,
    type: "invoice.payment_failed",
    apiVersion: null,
    status: "received",
    error: null,
    occurredAt: AT,
    receivedAt: AT,
    knownAt: AT,
    nextAttemptAt: "2026-10-05T12:01:00.000Z",
    customer,
    objects: [],
    facts: [],
    customerEventsMax: 1_000,
    sealedPayload: new Uint8Array([1]),
    ...more,
  }
}

/** Records an event of a new customer; its commit, which has not been made. */
async function recorded(
  customer: string,
  { invoice = `in_${customer}`, facts = [failed(customer, invoice)], more = {} as Partial<Commit> } = {},
) {
  const event = eventOf(customer, { facts })
  const { stream } = await recordDelivery(db, event)
  if (!stream) throw new Error("no stream")
  const { id: customerId, provider, providerCustomerId, version } = stream.customer
  const whole: Commit = {
    key: { companyId: TEST_COMPANY, customerId, provider, providerCustomerId },
    expectedVersion: version,
    now: AT,
    state: fold(stream.facts),
    projected: EMPTY_STATE,
    dropped: [],
    facts: [],
    nudges: [],
    contact: null,
    processedEvents: [{ id: event.id, receivedAt: AT }],
    ...more,
  }
  return whole
}

const customersAt = async (version: number) =>
  (await rows<{ id: string }>("SELECT id FROM customers WHERE version = $1 ORDER BY id", [version])).map(({ id }) => id)

const casesOf = async (customerId: string) =>
  (await rows<{ id: string }>("SELECT id FROM recovery_cases WHERE customer_id = $1", [customerId])).map(({ id }) => id)

const nudge = (caseId: string): Nudge => ({
  ...{ id: `${caseId}.0.email`, caseId, step: 0, channel: "email", status: "planned", reason: null },
  ...{ incentive: null, dueAt: AT, attempts: 0, sentAt: null },
})

test("of several customers, one that has changed is left out, and the others are committed", async () => {
  const works = [await recorded("3"), await recorded("1"), await recorded("2")]
  const [first] = works
  if (first) await commit(db, first)
  const { lost } = await commitStreams(db, TEST_COMPANY, works, AT)
  expect([...lost]).toEqual([["stripe_3", "stale_version"]])
  expect(await customersAt(1)).toEqual(["stripe_1", "stripe_2", "stripe_3"])
  expect(await rows("SELECT DISTINCT status FROM webhook_events")).toEqual([{ status: "processed" }])
})

test("nothing of a customer that has changed is written", async () => {
  const work = await recorded("1")
  const stale = {
    ...work,
    expectedVersion: 7,
    facts: [clicked],
    nudges: [{ kind: "plan" as const, nudge: nudge("c") }],
  }
  expect((await commitStreams(db, TEST_COMPANY, [stale, await recorded("2")], AT)).lost.has("stripe_1")).toBe(true)
  expect(await casesOf("stripe_1")).toEqual([])
  expect(await rows("SELECT id FROM facts WHERE id = 'click'")).toEqual([])
  expect(await rows("SELECT id FROM nudges")).toEqual([])
  expect(await rows("SELECT status FROM webhook_events WHERE id = $1", [eventId("1")])).toEqual([
    { status: "received" },
  ])
})

const clicked: Fact = { kind: "link_clicked", id: "click", occurredAt: AT, caseId: "c", nudgeId: null }

test("a commit of one customer that has changed throws", async () => {
  const work = await recorded("1")
  await commit(db, work)
  const again = await commit(db, work).catch((error: unknown) => databaseFailure(error))
  expect(again).toBe("stale_version")
})

test("a nudge that another worker has claimed is left as it is, with its customer", async () => {
  const plans = { nudges: [{ kind: "plan" as const, nudge: nudge("payment_in_1") }] }
  await commit(db, await recorded("1", { more: plans }))
  await rows("UPDATE nudges SET lease_owner = 'other'")
  const [work] = [await recordedAgain("1")]
  const claim = { nudgeId: nudge("payment_in_1").id, owner: "us" }
  const marked = {
    kind: "set" as const,
    id: claim.nudgeId,
    change: { status: "sending" as const },
    releaseLease: false,
  }
  const { lost } = await commitStreams(db, TEST_COMPANY, [{ ...work, claim, nudges: [marked] }], AT)
  expect([...lost]).toEqual([["stripe_1", "lost_lease"]])
  expect(await rows("SELECT status, lease_owner FROM nudges")).toEqual([{ status: "planned", lease_owner: "other" }])
  const owned = { ...work, claim: { ...claim, owner: "other" }, nudges: [marked] }
  expect((await commitStreams(db, TEST_COMPANY, [owned], AT)).lost.size).toBe(0)
  expect(await rows("SELECT status, lease_owner FROM nudges")).toEqual([{ status: "sending", lease_owner: "other" }])
})

/** A commit over the first one of a customer, of the same state. */
async function recordedAgain(customer: string): Promise<Commit> {
  const [row] = await rows<{ version: number }>("SELECT version FROM customers WHERE provider_customer_id = $1", [
    customer,
  ])
  const state = fold([failed(customer)])
  return {
    key: {
      companyId: TEST_COMPANY,
      customerId: `stripe_${customer}`,
      provider: "stripe",
      providerCustomerId: customer,
    },
    expectedVersion: row?.version ?? 0,
    ...{ now: AT, state, projected: state, dropped: [], facts: [], nudges: [], contact: null, processedEvents: [] },
  }
}

test("of two customers with one address, the second is decided again", async () => {
  const indexes = { addresses: [{ kind: "email" as const, index: "ab" }], names: [], version: 1 }
  const contact = { sealed: new Uint8Array([1]), newWrappedKey: new Uint8Array([2]), indexes }
  const works = [await recorded("1", { more: { contact } }), await recorded("2", { more: { contact } })]
  expect((await commitStreams(db, TEST_COMPANY, works, AT)).lost.size).toBe(0)
  const mark = async (id: string) => {
    const [row] = await rows<{ mark: string }>(
      "SELECT set_config('app.company_id', $2, true), person_mark($1) AS mark",
      [id, TEST_COMPANY],
    )
    return row?.mark ?? ""
  }
  const [one, two] = [await recordedAgain("1"), await recordedAgain("2")]
  const guarded = [
    { ...one, personMark: await mark("stripe_1") },
    { ...two, personMark: await mark("stripe_2") },
  ]
  expect([...(await commitStreams(db, TEST_COMPANY, guarded, AT)).lost]).toEqual([["stripe_2", "stale_version"]])
  // Alone, over a new reading of the person, it is written.
  const again = [{ ...two, personMark: await mark("stripe_2") }]
  expect((await commitStreams(db, TEST_COMPANY, again, AT)).lost.size).toBe(0)
})

test("a case that two customers have keeps the row of the first one", async () => {
  const works = [await recorded("1", { invoice: "in_same" }), await recorded("2", { invoice: "in_same" })]
  const { lost } = await commitStreams(db, TEST_COMPANY, works, AT)
  expect([...lost.keys()]).toEqual(["stripe_2"])
  const [, second] = works
  if (second) await commit(db, second)
  expect([await casesOf("stripe_1"), await casesOf("stripe_2")]).toEqual([["payment_in_same"], []])
})

test("a fact that is late within the last second is read with the facts of that second, and what takes them back", async () => {
  const work = await recorded("1", { facts: [failed("1", "in_b")] })
  const { state, undo } = foldUndoable([failed("1", "in_b")], { state: EMPTY_STATE, undo: null })
  await commit(db, { ...work, state, undo })
  const late = { ...seen, id: "late" }
  const [read] = await recordDeliveries(db, TEST_COMPANY, [eventOf("1", { id: eventId("9"), facts: [late] })])
  if (!read?.stream) throw new Error("no stream")
  expect(read.stream).toMatchObject({ isWhole: false, isFromInstant: true })
  expect(read.stream.facts.map(({ id }) => id)).toEqual(["late", "failed 1"])
  expect(fold(read.stream.facts, baseOf({ ...read.stream, earlier: null }))).toEqual(
    rebuild([late, failed("1", "in_b")]),
  )
})

test("the undo of an instant is not valid for another version of the state", async () => {
  const work = await recorded("1")
  const { state, undo } = foldUndoable([failed("1")], { state: EMPTY_STATE, undo: null })
  await commit(db, { ...work, state, undo })
  await rows("UPDATE customers SET version = version + 1")
  const [read] = await recordDeliveries(db, TEST_COMPANY, [eventOf("1", { id: eventId("9"), facts: [seen] })])
  expect(read?.stream).toMatchObject({ isWhole: true, isFromInstant: false, undo: null })
})

/** First among the facts of its second. */
const seen: Fact = { kind: "customer_seen", id: "seen", occurredAt: AT, hasPhone: false }

test("a new contact replaces the name, and the addresses unless the customer has opted out", async () => {
  const contactOf = (index: string, newWrappedKey: Uint8Array | null) => ({
    contact: {
      ...{ sealed: new Uint8Array([1]), newWrappedKey },
      indexes: { addresses: [{ kind: "email" as const, index }], names: [index], version: 1 },
    },
  })
  const addresses = async () =>
    (
      await rows<{ address: string }>("SELECT encode(address, 'hex') AS address FROM customer_addresses ORDER BY 1")
    ).map(({ address }) => address)
  const names = async () =>
    (await rows<{ name: string }>("SELECT encode(name, 'hex') AS name FROM customer_names")).map(({ name }) => name)
  await commit(db, await recorded("1", { more: contactOf("aa", new Uint8Array([2])) }))
  await commit(db, { ...(await recordedAgain("1")), ...contactOf("bb", null) })
  expect([await addresses(), await names()]).toEqual([["bb"], ["bb"]])
  const optedOut: Fact = { kind: "opted_out", id: "out", occurredAt: AT, caseId: null, via: "page" }
  await commit(db, { ...(await recordedAgain("1")), facts: [optedOut], ...contactOf("cc", null) })
  expect([await addresses(), await names()]).toEqual([["bb", "cc"], ["cc"]])
})
