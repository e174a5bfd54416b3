import fc from "fast-check"
import { expect, test } from "vitest"
import { providerFacts } from "../../../test/support/events/arbitrary-facts.ts"
import * as make from "../../../test/support/events/facts.ts"
import { fold, rebuild } from "../recovery/fold.ts"
import { subscriptionDifferences } from "./reconcile.ts"

test("the differences of a subscription are gone once the facts are folded, whatever the history", () => {
  const change = fc.record({
    kind: fc.constantFrom("subscription_changed", "subscription_resumed"),
    status: fc.constantFrom("active", "past_due", "paused", "unpaid", "trialing"),
    quantity: fc.constantFrom(1, 2),
    cancelAt: fc.constantFrom(null, make.on(200)),
    currentPeriodEnd: fc.constantFrom(null, make.on(150)),
    isEnd: fc.boolean(),
  })
  let differed = 0
  fc.assert(
    fc.property(providerFacts, change, (facts, { kind, quantity, isEnd, ...fields }) => {
      const state = rebuild(facts)
      const snapshot = {
        at: make.on(120),
        subscriptionId: "sub_0",
        items: [{ ...make.MONTHLY, quantity }],
        ...fields,
      }
      const isRevived = state.subscriptions.sub_0?.endedAt != null
      const fact = isEnd
        ? make.subscriptionEnded({ at: make.on(120), subscriptionId: "sub_0" })
        : make.subscription(isRevived ? "subscription_resumed" : kind, snapshot)
      differed += subscriptionDifferences(state, "sub_0", [fact]).length > 0 ? 1 : 0
      const again = { ...fact, id: `${fact.id}_again`, occurredAt: make.on(121) }
      expect(subscriptionDifferences(fold([fact], state), "sub_0", [again])).toEqual([])
    }),
    { numRuns: 300 },
  )
  expect(differed).toBeGreaterThan(100)
})
