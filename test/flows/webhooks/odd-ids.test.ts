/** Ids with any printable text work everywhere, from the webhook to the message and its link. */
import { beforeEach, expect, test } from "vitest"
import { failPayment, linksIn, messages, visit } from "../../support/actions/members.ts"
import { fresh } from "../../support/events/providers.ts"
import { api, reset, waitUntilProcessed } from "../../support/world/world.ts"

beforeEach(reset)

const ADDRESS = { more: { customer_email: "ann@example.org" } }

test.each([
  ["an address", "ann@example.com", "in/1 2"],
  ["spaces, slashes and signs", "Ann Lee/№ 7|$#?&%41", "in_1%2F|ü"],
  ["255 characters", "é".repeat(255), `in_${"x".repeat(252)}`],
])("a member whose id is %s gets a message with a link that works", async (_, customer, invoice) => {
  expect((await failPayment(customer, invoice, ADDRESS)).status).toBe(200)
  await waitUntilProcessed()

  const [message] = await messages(1)
  if (message === undefined) throw new Error("no message")
  expect(message.idempotencyKey).toMatch(/^key-[0-9a-f]{64}$/)
  expect((await visit(linksIn(message).link)).status).toBe(302)

  const shown = await api<{ customerId: string; nudges: unknown[] }>(
    `/api/cases/${encodeURIComponent(`payment_${invoice}`)}`,
  )
  expect(shown.body).toMatchObject({ customerId: `stripe_${customer}`, status: "open" })
  const known = await api(`/api/customers/${encodeURIComponent(`stripe_${customer}`)}`)
  expect(known.body).toMatchObject({ providerCustomerId: customer })

  await failPayment(customer, fresh("in"), ADDRESS)
  await waitUntilProcessed()
  const first = await api<{ data: unknown[]; nextCursor: string }>("/api/cases?limit=1")
  const second = await api<{ data: unknown[] }>(
    `/api/cases?limit=1&cursor=${encodeURIComponent(first.body.nextCursor)}`,
  )
  expect([first.body.data.length, second.body.data.length]).toEqual([1, 1])
})
