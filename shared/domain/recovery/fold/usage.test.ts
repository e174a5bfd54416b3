import { expect, test } from "vitest"
import type { Fact } from "../../facts.ts"
import { rebuild } from "../fold.ts"

const used = (day: number, meter: string, quantity: number): Fact => ({
  kind: "usage_recorded",
  id: `usage_${day}_${meter}`,
  occurredAt: new Date(Date.UTC(2026, 0, 1 + day)).toISOString(),
  meter,
  quantity,
  subscriptionId: null,
})

test("usage is summed by meter, with the time of the last record", () => {
  const { usage } = rebuild([used(3, "logins", 4), used(0, "logins", 2), used(1, "exports", 1)])
  expect(usage).toEqual({
    logins: { total: 6, at: "2026-01-04T00:00:00.000Z" },
    exports: { total: 1, at: "2026-01-02T00:00:00.000Z" },
  })
})

test("meters beyond the bound do not make the state grow, and existing ones continue to count", () => {
  const facts = Array.from({ length: 50 }, (_, day) => used(day, `meter_${day}`, 1))
  const { usage } = rebuild([...facts, used(60, "meter_0", 5), used(61, "meter_49", 5)])
  expect(Object.keys(usage ?? {})).toHaveLength(20)
  expect(usage?.meter_0?.total).toBe(6)
})

test("a sum stays a number that JSON keeps", () => {
  const { usage } = rebuild([used(0, "bytes", Number.MAX_VALUE), used(1, "bytes", Number.MAX_VALUE)])
  expect(usage?.bytes?.total).toBe(Number.MAX_SAFE_INTEGER)
})

test("a ticket changes only the position in the ledger", () => {
  const opened: Fact = {
    kind: "ticket_opened",
    id: "t",
    occurredAt: "2026-01-05T00:00:00.000Z",
    ticketId: "7",
    isNegative: true,
  }
  const { position, ...state } = rebuild([opened])
  const { position: _, ...empty } = rebuild([])
  expect(state).toEqual(empty)
  expect(position).toEqual({ occurredAt: opened.occurredAt, rank: 6, id: "t" })
})
