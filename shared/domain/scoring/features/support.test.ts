import { describe, expect, test } from "vitest"
import { on } from "../../../../test/support/events/facts.ts"
import { viewOn } from "../../../../test/support/events/ledger.ts"
import type { Fact } from "../../facts.ts"
import { supportFeatures } from "./support.ts"

const TODAY = 200
const opened = (daysAgo: number, ticketId = `t_${daysAgo}`, isNegative = false): Fact => ({
  ...{ id: `opened_${ticketId}_${daysAgo}`, occurredAt: on(TODAY - daysAgo) },
  ...{ kind: "ticket_opened", ticketId, isNegative },
})
const closed = (daysAgo: number, ticketId: string, isNegative: boolean | null = null): Fact => ({
  ...{ id: `closed_${ticketId}_${daysAgo}`, occurredAt: on(TODAY - daysAgo) },
  ...{ kind: "ticket_closed", ticketId, isNegative },
})
const featuresOf = (...facts: readonly Fact[]) => supportFeatures(viewOn(TODAY, facts))

describe("support tickets", () => {
  test.each<[string, readonly Fact[], Partial<ReturnType<typeof featuresOf>>]>([
    ["are none without any", [], { tickets_30d: 0, tickets_90d: 0, open_tickets: 0, days_since_negative_ticket: null }],
    [
      "count for 30 and for 90 days",
      [opened(91), opened(90), opened(31), opened(30)],
      { tickets_30d: 1, tickets_90d: 3 },
    ],
    ["count once each, by their last opening", [opened(40, "t"), opened(5, "t")], { tickets_30d: 1, tickets_90d: 1 }],
    ["are open until they are closed", [opened(9, "a"), opened(8, "b"), closed(7, "a")], { open_tickets: 1 }],
    [
      "are open again when they are opened again",
      [opened(9, "a"), closed(7, "a"), opened(5, "a")],
      { open_tickets: 1 },
    ],
    ["are closed by a closing of the same moment", [opened(9, "a"), closed(9, "a")], { open_tickets: 0 }],
    ["are closed by the last closing", [opened(9, "a"), closed(10, "a"), closed(5, "a")], { open_tickets: 0 }],
  ])("%s", (_, facts, expected) => {
    expect(featuresOf(...facts)).toMatchObject(expected)
  })
})

describe("an unhappy ticket", () => {
  const none = { negative_tickets_30d: 0, negative_tickets_90d: 0, days_since_negative_ticket: null }
  test.each<[string, readonly Fact[], Partial<ReturnType<typeof featuresOf>>]>([
    [
      "is one that was opened as a complaint",
      [opened(9, "a", true)],
      { negative_tickets_30d: 1, days_since_negative_ticket: 9 },
    ],
    [
      "is one after which the customer was dissatisfied",
      [opened(9, "a"), closed(7, "a", true)],
      { negative_tickets_30d: 1 },
    ],
    [
      "stays one, though the customer was satisfied in the end",
      [opened(9, "a", true), closed(7, "a", false)],
      { negative_tickets_30d: 1 },
    ],
    [
      "is none where the customer was satisfied, or not asked",
      [opened(9, "a"), closed(7, "a", false), opened(8, "b"), closed(7, "b")],
      none,
    ],
    ["is none where another one left the customer dissatisfied", [opened(9, "a"), closed(7, "b", true)], none],
    [
      "counts for 30 and for 90 days",
      [opened(91, "a", true), opened(90, "b", true), opened(31, "c", true), opened(30, "d", true)],
      { negative_tickets_30d: 1, negative_tickets_90d: 3, days_since_negative_ticket: 30 },
    ],
  ])("%s", (_, facts, expected) => {
    expect(featuresOf(...facts)).toMatchObject(expected)
  })
})
