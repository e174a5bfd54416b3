/** The inputs of a live score can be recomputed from the ledger for that moment, bit for bit. */
import { createHash } from "node:crypto"
import { beforeEach, expect, test } from "vitest"
import { type Features, features, type LedgerFact, vectorOf } from "../../../shared/domain/scoring/features.ts"
import { fresh, sendStripe } from "../../support/events/providers.ts"
import { failedRenewalScenario } from "../../support/events/scenario.ts"
import { champion, scoreOf, send, subscriber } from "../../support/models/scoring.ts"
import { setSwitchForAll } from "../../support/world/external-services.ts"
import { advanceClock, api, reset, sql, waitUntilProcessed, world, worldNow } from "../../support/world/world.ts"

beforeEach(reset)

interface Stored {
  readonly as_of: Date
  readonly vector: Features
  readonly vector_hash: string
}

/** A customer's ledger today, with known times. */
async function ledgerOf(customerId: string): Promise<readonly LedgerFact[]> {
  const [row] = await sql<{ facts: { id: string; occurredAt: string; knownAt: string; body: LedgerFact }[] }>(
    `select facts from (select set_config('app.company_id', $1, false)) as entered,
       lateral read_ledgers(array[$2 || left(entered.set_config, 0)], null, 100000)`,
    [world().companyId, customerId],
  )
  return (row?.facts ?? []).map(({ id, occurredAt, knownAt, body }) => ({
    ...body,
    ...{ id, occurredAt: new Date(occurredAt).toISOString(), knownAt: new Date(knownAt).toISOString() },
  }))
}

test("facts that arrive late, twice or out of order do not change what was known before", async () => {
  await champion()
  const [tag, usage] = [fresh("r"), { meter: "logins", quantity: 3 }]
  const customer = await subscriber(`cus_${tag}`)
  // One after the other, since what arrives during scoring is not known to the score.
  const scoreAfter = async (work: () => Promise<unknown>) => {
    await work()
    await waitUntilProcessed()
    await advanceClock("PT61S") // fresh scores are limited to one a minute
    expect(await scoreOf(customer, "?fresh=true")).toMatchObject({ isStored: false })
  }
  const { events } = failedRenewalScenario(tag, new Date((await worldNow()).getTime() - 60_000))
  // The last event arrives first, all others after it.
  for (const event of [...events].reverse()) await scoreAfter(() => sendStripe(event))
  for (const [id, days] of [
    ["u1", 0],
    ["u2", 40],
    ["u3", 9],
  ] as const) {
    await advanceClock("PT1M")
    const occurredAt = new Date((await worldNow()).getTime() - days * 86_400_000).toISOString()
    await scoreAfter(() =>
      send("/api/usage", { records: [{ id: `${tag}${id}`, customerId: customer, occurredAt, ...usage }] }),
    )
  }
  for (const event of events) await sendStripe(event)
  await waitUntilProcessed()

  const stored = await replayed(customer)
  expect(stored).toHaveLength(events.length + 3)
  expect(new Set(stored.map(({ vector_hash }) => vector_hash)).size).toBeGreaterThan(5)
})

test("what arrived during scoring is not known to the score, then or later", async () => {
  await champion()
  await setSwitchForAll("REAL_TIME_PREDICTIONS", true)
  const tags = Array.from({ length: 4 }, () => fresh("r"))
  const customers = await Promise.all(tags.map((tag) => subscriber(`cus_${tag}`)))
  const end = new Date((await worldNow()).getTime() - 60_000)
  const score = async (customer: string) => {
    for (let times = 0; times < 6; times++) {
      const { status } = await api(`/api/customers/${customer}/score?fresh=true`)
      expect([200, 503]).toContain(status)
    }
  }
  await Promise.all([
    ...tags.flatMap((tag) => failedRenewalScenario(tag, end).events.map((event) => sendStripe(event))),
    ...customers.map(score),
  ])
  await waitUntilProcessed()
  await setSwitchForAll("REAL_TIME_PREDICTIONS", false)
  for (const customer of customers) expect((await replayed(customer)).length).toBeGreaterThan(0)
})

/** The scores of a customer; each vector must follow from today's ledger. */
async function replayed(customer: string): Promise<readonly Stored[]> {
  const stored = await sql<Stored>(
    "select as_of, vector, vector_hash from predictions where customer_id = $1 order by as_of",
    [customer],
  )
  const ledger = await ledgerOf(customer)
  for (const { as_of, vector, vector_hash } of stored) {
    const again = features(ledger, as_of.toISOString())
    expect(vector).toEqual(again)
    const hash = createHash("sha256")
      .update(JSON.stringify(vectorOf(again)))
      .digest("hex")
    expect(hash).toBe(vector_hash)
  }
  return stored
}
