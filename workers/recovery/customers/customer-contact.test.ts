import fc from "fast-check"
import { expect, test } from "vitest"
import { parseKeyRing } from "../../../shared/crypto/key-ring.ts"
import type { ContactChange } from "../../../shared/provider.ts"
import { type ContactHolder, type ContactUpdate, decryptContact, mergeContact } from "./customer-contact.ts"

const ring = parseKeyRing(`v1:${btoa("k".repeat(32))}`)
if (!ring.ok) throw new Error("the key ring is none")
const keys = ring.value

const EMPTY: ContactHolder = {
  ...{ companyId: "company", customer: { id: "stripe_cus" }, sealedContact: null, wrappedDataKey: null },
}

const update = (day: number, change: ContactChange): ContactUpdate => ({
  change,
  occurredAt: `2026-03-0${day}T10:00:00.000Z`,
  eventId: `event_${day}`,
})
const own = (day: number, email: string | null) => update(day, { email })
const copy = (day: number, email: string) => update(day, { email, isCopy: true })

/** The address after deliveries with these updates, one after the other. */
async function emailAfter(updates: readonly ContactUpdate[]): Promise<string | null> {
  let holder = EMPTY
  for (const one of updates) {
    const sealed = await mergeContact(keys, holder, [one])
    if (sealed === null) continue
    const wrappedDataKey = sealed.newWrappedKey ?? holder.wrappedDataKey
    holder = { ...holder, sealedContact: sealed.sealed, wrappedDataKey }
  }
  return (await decryptContact(keys, holder)).email
}

test.each<[string, readonly ContactUpdate[], string | null]>([
  ["a copy where the customer object states nothing", [copy(1, "copy")], "copy"],
  ["the customer object's value before a newer copy", [own(1, "own"), copy(2, "copy")], "own"],
  ["a copy that is later than a statement of none", [own(1, null), copy(2, "copy")], "copy"],
  ["nothing where that statement is newer than the copy", [copy(1, "copy"), own(2, null)], null],
  ["nothing once an address was taken away", [own(1, "own"), copy(2, "copy"), own(3, null)], null],
  ["the newest copy", [own(1, null), copy(3, "newer"), copy(2, "older")], "newer"],
])("%s counts", async (_, updates, email) => {
  expect(await emailAfter(updates)).toBe(email)
})

test("the order of updates does not matter, and the newest fact agrees", async () => {
  const updates = fc
    .uniqueArray(fc.integer({ min: 1, max: 6 }), { minLength: 1 })
    .chain((days) =>
      fc.tuple(...days.map((day) => fc.constantFrom(own(day, null), own(day, `own_${day}`), copy(day, `copy_${day}`)))),
    )
  await fc.assert(
    fc.asyncProperty(
      updates.chain((all) =>
        fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length, maxLength: all.length })),
      ),
      async ([all, shuffled]) => {
        const inOrder = all.toSorted((a, b) => (a.occurredAt < b.occurredAt ? -1 : 1))
        const email = await emailAfter(inOrder)
        expect(await emailAfter(shuffled)).toBe(email)
        // What the fold makes of the facts beside these updates.
        expect(email !== null).toBe((inOrder.at(-1)?.change.email ?? null) !== null)
      },
    ),
    { numRuns: 150 },
  )
})
