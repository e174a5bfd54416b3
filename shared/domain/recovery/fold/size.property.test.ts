import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { overLimitFacts } from "../../../../test/support/events/arbitrary-facts.ts"
import * as make from "../../../../test/support/events/facts.ts"
import { rebuild } from "../fold.ts"

const SECOND = 1_000
const DAY = 86_400_000
const at = (ms: number) => new Date(Date.parse(make.on(0)) + ms).toISOString()

describe("the size of a state", () => {
  /** With ids of 255 characters, the longest that are accepted. */
  const BYTES_MAX_LONG_IDS = 4 * 1024 * 1024
  /** With ids as providers make them. */
  const BYTES_MAX = 512 * 1024

  test("is bounded whatever the facts", () => {
    fc.assert(
      fc.property(overLimitFacts, (facts) => {
        expect(JSON.stringify(rebuild(facts)).length).toBeLessThan(BYTES_MAX)
      }),
      { numRuns: 6 },
    )
  })

  test("is bounded for a flood of every kind, with the longest ids", () => {
    const long = (prefix: string, index: number) => `${prefix}_${index}_`.padEnd(255, "x")
    const facts = Array.from({ length: 3_000 }, (_, index) => {
      const refs = { invoiceId: long("in", index % 400), subscriptionId: long("sub", index % 300) }
      return [
        make.subscription("subscription_changed", { at: at(index * SECOND), subscriptionId: refs.subscriptionId }),
        make.paymentFailed({ at: at(index * SECOND), ...refs, attempt: index, chargeId: long("ch", index) }),
        make.cancellationAnnounced({ at: at(index * SECOND), subscriptionId: refs.subscriptionId }),
        make.linkClicked({ at: at(index * DAY), caseId: long("case", index) }),
        make.nudgeSent({ at: at(index * SECOND), caseId: long("case", index) }),
        make.caseAssigned({ at: at(index * SECOND), caseId: long("case", index) }),
        make.variantAssigned({ at: at(index * SECOND), caseId: long("case", index) }),
        make.incentiveApplied({ at: at(index * SECOND), caseId: long("case", index) }),
        ...(index % 3 === 0 ? [make.paymentSucceeded({ at: at(index * SECOND + 1), ...refs })] : []),
      ]
    }).flat()
    expect(JSON.stringify(rebuild(facts)).length).toBeLessThan(BYTES_MAX_LONG_IDS)
  })
})
