import { expect, test } from "vitest"
import { EMPTY_STATE } from "../state.ts"
import { changedCases } from "./case-changes.ts"
import { fold } from "./fold.ts"

const failed = (invoiceId: string, at: string) => ({
  ...({ kind: "payment_failed", id: `${invoiceId} ${at}`, occurredAt: `2026-10-05T${at}:00.000Z`, invoiceId } as const),
  ...{ subscriptionId: null, paymentIntentId: null, chargeId: null, amountMinor: 4_900, currency: "usd" },
  ...{ declineCode: null, attempt: 1, nextAttemptAt: null, isFirstInvoice: false },
})

const before = fold([failed("in_1", "10:00"), failed("in_2", "10:01")], EMPTY_STATE)

test("a case is changed that is new, that differs, or whose message changed; no other", () => {
  expect(changedCases(null, before, [])).toEqual([
    { caseId: "payment_in_1", kind: "payment", status: "open" },
    { caseId: "payment_in_2", kind: "payment", status: "open" },
  ])
  expect(changedCases(before, before, [])).toEqual([])
  const after = fold([failed("in_1", "11:00")], before)
  expect(changedCases(before, after, []).map(({ caseId }) => caseId)).toEqual(["payment_in_1"])
  expect(changedCases(before, before, [{ caseId: "payment_in_2" }]).map(({ caseId }) => caseId)).toEqual([
    "payment_in_2",
  ])
})
