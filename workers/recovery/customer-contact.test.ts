import fc from "fast-check"
import { expect, test } from "vitest"
import { parseKeyRing } from "../../shared/crypto/key-ring.ts"
import type { ContactChange } from "../../shared/provider.ts"
import { type ContactHolder, type ContactUpdate, decryptContact, mergeContact } from "./customer-contact.ts"

const ring = parseKeyRing(`v1:${btoa("k".repeat(32))}`)
if (!ring.ok) throw new Error("the key ring is none")
const keys = ring.value

const EMPTY: ContactHolder = {
  ...{ companyId: "company", customer: { id: "stripe_cus" }, sealedContact: null, wrappedDataKey: null },
}

const word = (day: number, change: ContactChange): ContactUpdate => ({
  change,
  occurredAt: `2026-03-0${day}T10:00:00.000Z`,
  eventId: `event_${day}`,
})
const own = (day: number, email: string | null) => word(day, { email })
const copy = (day: number, email: string) => word(day, { email, isCopy: true })

/** What is known after deliveries with these words, one after the other. */
async function emailAfter(words: readonly ContactUpdate[]): Promise<string | null> {
  let holder = EMPTY
  for (const one of words) {
    const sealed = await mergeContact(keys, holder, [one])
    if (sealed === null) continue
    const wrappedDataKey = sealed.newWrappedKey ?? holder.wrappedDataKey
    holder = { ...holder, sealedContact: sealed.sealed, wrappedDataKey }
  }
  return (await decryptContact(keys, holder)).email
}

test.each<[string, readonly ContactUpdate[], string | null]>([
  ["a copy where the customer said nothing", [copy(1, "copy")], "copy"],
  ["the customer's own word before a newer copy", [own(1, "own"), copy(2, "copy")], "own"],
  ["a copy of later than the word that there is none", [own(1, null), copy(2, "copy")], "copy"],
  ["nothing where that word is newer than the copy", [copy(1, "copy"), own(2, null)], null],
  ["nothing once an address was taken away", [own(1, "own"), copy(2, "copy"), own(3, null)], null],
  ["the newest copy", [own(1, null), copy(3, "newer"), copy(2, "older")], "newer"],
])("%s counts", async (_, words, email) => {
  expect(await emailAfter(words)).toBe(email)
})

test("the order in which the words come does not matter, and the newest fact says the same", async () => {
  const words = fc
    .uniqueArray(fc.integer({ min: 1, max: 6 }), { minLength: 1 })
    .chain((days) =>
      fc.tuple(...days.map((day) => fc.constantFrom(own(day, null), own(day, `own_${day}`), copy(day, `copy_${day}`)))),
    )
  await fc.assert(
    fc.asyncProperty(
      words.chain((all) =>
        fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length, maxLength: all.length })),
      ),
      async ([all, shuffled]) => {
        const inOrder = all.toSorted((a, b) => (a.occurredAt < b.occurredAt ? -1 : 1))
        const email = await emailAfter(inOrder)
        expect(await emailAfter(shuffled)).toBe(email)
        // What the fold makes of the facts beside these words.
        expect(email !== null).toBe((inOrder.at(-1)?.change.email ?? null) !== null)
      },
    ),
    { numRuns: 150 },
  )
})
