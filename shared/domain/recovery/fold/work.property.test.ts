/**
 * Work is counted in blocks executed, without a clock: what a fold does for each fact is bounded by the size of its state, and
 * the state stops growing.
 */
import { afterAll, describe, expect, test } from "vitest"
import * as make from "../../../../test/support/events/facts.ts"
import { countBlocks } from "../../../../test/support/executed-blocks.ts"
import type { Fact } from "../../facts.ts"
import { EMPTY_STATE } from "../../state.ts"

const counter = await countBlocks("/shared/domain/")
const { fold } = await import("../fold.ts")

const SECOND = 1_000
const at = (ms: number) => new Date(Date.parse(make.on(0)) + ms).toISOString()
const times = (count: number, tell: (index: number) => Fact): Fact[] =>
  Array.from({ length: count }, (_, index) => tell(index))
const failed = (index: number) => make.paymentFailed({ at: at(index * SECOND), invoiceId: `in_${index}` })

afterAll(counter.stop)

describe("the work of a fold grows with the number of facts, not with its square", () => {
  const of = (index: number) => ({ at: at(index * SECOND), subscriptionId: `sub_${index}` })
  const started = (index: number) => make.subscription("subscription_started", of(index))
  /** Two facts of one thing in turn. */
  const inTurn = (first: (index: number) => Fact, second: (index: number) => Fact) => (index: number) =>
    index % 2 === 0 ? first(index) : { ...second(index - 1), id: `second_${index}`, occurredAt: at(index * SECOND) }
  const shapes: [string, (index: number) => Fact][] = [
    ["clicks", (index) => make.linkClicked({ at: at(index * SECOND) })],
    ["failed invoices", failed],
    [
      "cases that open and close",
      inTurn(failed, (index) => make.paymentSucceeded({ at: at(index), invoiceId: `in_${index}` })),
    ],
    ["attempts of one invoice", (index) => make.paymentFailed({ at: at(index * SECOND), attempt: index })],
    ["charges without an invoice", (index) => make.chargeFailed({ at: at(index * SECOND), chargeId: `ch_${index}` })],
    ["messages", (index) => make.nudgeSent({ at: at(index * SECOND), caseId: `payment_in_${index}` })],
    ["subscriptions that start", started],
    ["subscriptions that start and end", inTurn(started, (index) => make.subscriptionEnded(of(index)))],
    ["announced ends of as many subscriptions", (index) => make.cancellationAnnounced(of(index))],
    [
      "one announced end that is withdrawn",
      inTurn(
        (index) => make.cancellationAnnounced({ at: at(index * SECOND) }),
        (index) => make.subscription("subscription_resumed", { at: at(index) }),
      ),
    ],
    [
      "credit notes of one invoice",
      (index) =>
        index === 0
          ? make.paymentFailed({ at: at(0), invoiceId: "in_1", amountMinor: 1_000_000 })
          : make.invoiceCredited({
              at: at(index * SECOND),
              invoiceId: "in_1",
              creditNoteId: `cn_${index}`,
              amountMinor: 1,
            }),
    ],
  ]

  test.each(shapes)(
    "%s: four thousand facts cost four times one thousand, and leave no larger state",
    async (_, tell) => {
      const [small, large] = [await costOf(1_000, tell), await costOf(4_000, tell)]
      // The bounds are reached after some hundred facts, so the first ones cost less. Sixteen times, were it the square.
      expect(large.blocks / small.blocks).toBeLessThan(5)
      expect(large.size / small.size).toBeLessThan(1.1)
    },
  )
})

async function costOf(count: number, tell: (index: number) => Fact) {
  const facts = times(count, tell)
  let state = EMPTY_STATE
  const blocks = await counter.blocksOf(() => {
    state = fold(facts)
  })
  return { blocks, size: JSON.stringify(state).length }
}
