/** What holds for every state, from any facts. */
import { isDeepStrictEqual } from "node:util"
import { causeOf } from "../../../shared/domain/recovery/cause.ts"
import { type CaseState, type CustomerState, paymentOf, subscriptionOf } from "../../../shared/domain/state.ts"

/** Every invariant that the state violates, as text; empty for a valid state. */
export function invariantViolations(state: CustomerState): string[] {
  const faults: string[] = []
  const expectThat = (holds: boolean, fault: string): void => {
    if (!holds) faults.push(fault)
  }

  expectThat(isDeepStrictEqual(JSON.parse(JSON.stringify(state)), state), "is not plain JSON")
  expectThat(Object.keys(Object.prototype).length === 0, "reached the prototype of all objects")
  for (const [key, entry] of Object.entries(state.subscriptions)) {
    expectThat(key === entry.id, `subscription ${key} is stored under another key`)
  }
  for (const [key, entry] of Object.entries(state.payments)) {
    expectThat(key === entry.invoiceId, `payment ${key} is stored under another key`)
    expectThat(isMoney(entry.amountMinor) && isMoney(entry.refundedMinor), `payment ${key} has an odd amount`)
    expectThat(entry.status !== "succeeded" || entry.paidAt !== null, `payment ${key} is paid without a time`)
  }
  const ids = state.cases.map((entry) => entry.id)
  expectThat(new Set(ids).size === ids.length, "has a case twice")
  const invoices = state.cases.flatMap((entry) => entry.invoiceId ?? [])
  expectThat(new Set(invoices).size === invoices.length, "has two cases of one invoice")
  for (const entry of state.cases) faults.push(...caseFaults(entry, state))
  return faults
}

function* caseFaults(entry: CaseState, state: CustomerState): Generator<string> {
  const payment = paymentOf(state, entry.invoiceId)
  const isOpen = entry.status === "open"
  if (isOpen !== (entry.closedAt === null)) yield `${entry.id}: ${entry.status}, closed at ${entry.closedAt}`
  if (isOpen !== (entry.closeReason === null)) yield `${entry.id}: ${entry.status} for ${entry.closeReason}`
  if (isOpen !== (causeOf(entry, state) === null))
    yield `${entry.id}: ${entry.status} without a cause, or open with one`
  if (entry.closedAt !== null && entry.closedAt < entry.openedAt) yield `${entry.id}: closed before it was opened`
  if (!isMoney(entry.amountMinor) || !isMoney(entry.recoveredMinor)) yield `${entry.id}: odd amount`
  if (entry.status !== "recovered" && entry.recoveredMinor !== 0) yield `${entry.id}: ${entry.status} with money`
  if (entry.kind === "payment" && payment === undefined) yield `${entry.id}: its payment is not kept`
  if (entry.kind === "payment" && entry.status === "recovered" && entry.billing !== "one_off") {
    const paidMinor = (payment?.amountMinor ?? 0) - (entry.paidBeforeMinor ?? 0)
    const keptMinor = Math.max(0, Math.min(paidMinor, entry.amountMinor) - (payment?.refundedMinor ?? 0))
    if (entry.recoveredMinor !== keptMinor)
      yield `${entry.id}: recovered ${entry.recoveredMinor} of ${paidMinor} paid, less ${payment?.refundedMinor}`
  }
  if (entry.remainingMinor !== undefined && !(entry.remainingMinor < entry.amountMinor))
    yield `${entry.id}: ${entry.remainingMinor} remain of ${entry.amountMinor}`
  if (isOpen && entry.kind === "payment" && (payment?.status !== "failed" || payment.paidAt !== null))
    yield `${entry.id}: open, ${payment?.status}`
  if (isOpen && (subscriptionOf(state, entry.subscriptionId)?.endedAt ?? null) !== null) {
    yield `${entry.id}: open for a subscription that has ended`
  }
}

const isMoney = (amount: number): boolean => Number.isSafeInteger(amount) && amount >= 0
