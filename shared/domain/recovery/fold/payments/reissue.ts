/**
 * An invoice that is voided and reissued is one bill: its case continues with the new invoice. The provider states it
 * (Stripe's `from_invoice` and `latest_revision`), or the new one is for the same subscription and period.
 */
import type { Fact, Instant, ServicePeriod } from "../../../facts.ts"
import { type CaseState, type CustomerState, type PaymentState, paymentOf } from "../../../state.ts"
import { withCase } from "../cases.ts"
import { entriesWhere } from "../records.ts"
import { caseOf, withPayment } from "./payment-matching.ts"

/** A bill is reissued within this time of its voiding. */
const REISSUE_WINDOW_MS = 14 * 86_400_000

/** Records which invoice replaces which; the case moves once the old one is voided. */
export function recordReissue(state: CustomerState, fact: Extract<Fact, { kind: "invoice_reissued" }>): CustomerState {
  const old = paymentOf(state, fact.replaces)
  if (!old || fact.invoiceId === null || fact.invoiceId === old.invoiceId) return state
  const recorded = withPayment(state, { ...old, reissuedAs: fact.invoiceId })
  return old.status === "voided" ? moveCase(recorded, old.invoiceId, fact.invoiceId, fact.occurredAt) : recorded
}

/** The invoice that replaces one that has just been voided, if it is known. */
export function replacementOf(state: CustomerState, old: PaymentState): string | null {
  if (old.reissuedAs !== undefined) return old.reissuedAs
  const isNewer = (payment: PaymentState) => isReissueOf(old, payment) && newsAt(payment) >= (old.failedAt ?? "")
  const newer = entriesWhere(state.payments, isNewer).sort((a, b) =>
    newsAt(a) + a.invoiceId < newsAt(b) + b.invoiceId ? -1 : 1,
  )
  return newer[0]?.invoiceId ?? null
}

/** The state in which the case of a voided invoice continues with this one, if this one is the same bill reissued. */
export function continueVoidedCase(state: CustomerState, payment: PaymentState, at: Instant): CustomerState {
  const voided = state.cases.find((candidate) => {
    if (candidate.closeReason !== "voided") return false
    const old = paymentOf(state, candidate.invoiceId)
    if (old?.voidedAt === undefined) return false
    if (old.reissuedAs === payment.invoiceId) return true
    return old.reissuedAs === undefined && isReissueOf(old, payment) && isWithin(old.voidedAt, at)
  })
  if (!voided?.invoiceId || caseOf(state, payment.invoiceId)) return state
  return moveCase(state, voided.invoiceId, payment.invoiceId, at)
}

/** The case of the old invoice becomes that of the new one, open; if the new one already has a case, only that one remains. */
export function moveCase(state: CustomerState, oldId: string, newId: string, at: Instant): CustomerState {
  const recoveryCase = caseOf(state, oldId)
  const old = paymentOf(state, oldId)
  if (!recoveryCase || !old || !isMovable(recoveryCase)) return state
  const recorded = withPayment(state, { ...old, reissuedAs: newId })
  if (caseOf(state, newId)) {
    return { ...recorded, cases: recorded.cases.filter((candidate) => candidate.id !== recoveryCase.id) }
  }
  const { remainingMinor: _, paidBeforeMinor: __, ...rest } = recoveryCase
  return withCase(recorded, {
    ...{ ...rest, invoiceId: newId, status: "open", closeReason: null, closedAt: null },
    heardAt: at,
  })
}

const isMovable = ({ status, closeReason }: CaseState): boolean => status === "open" || closeReason === "voided"

const newsAt = ({ paidAt, failedAt }: PaymentState): Instant => paidAt ?? failedAt ?? ""

const isWithin = (from: Instant, to: Instant): boolean =>
  Math.abs(Date.parse(to) - Date.parse(from)) <= REISSUE_WINDOW_MS

/** Whether the second invoice is for the same thing as the first, and is not voided. */
function isReissueOf(old: PaymentState, payment: PaymentState): boolean {
  if (old.invoiceId === payment.invoiceId || old.currency !== payment.currency) return false
  if (payment.status === "voided" || payment.billing === "change") return false
  if (old.billing === "one_off" || payment.billing === "one_off") {
    return old.billing === payment.billing && old.amountMinor === payment.amountMinor
  }
  const isSameSubscription = old.subscriptionId !== null && old.subscriptionId === payment.subscriptionId
  return isSameSubscription && old.period !== undefined && overlaps(old.period, payment.period)
}

/** Two periods count as the same if they share more than half of the shorter one. */
function overlaps(a: ServicePeriod, b: ServicePeriod | undefined): boolean {
  if (b === undefined) return false
  const shared = Math.min(Date.parse(a.end), Date.parse(b.end)) - Math.max(Date.parse(a.start), Date.parse(b.start))
  const shorter = Math.min(lengthOf(a), lengthOf(b))
  return shorter > 0 && shared * 2 > shorter
}

const lengthOf = ({ start, end }: ServicePeriod): number => Date.parse(end) - Date.parse(start)
