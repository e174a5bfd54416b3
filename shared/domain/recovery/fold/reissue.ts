/**
 * An invoice that is voided and issued again is one bill: its case goes on with the new invoice. The provider says so
 * (Stripe's `from_invoice` and `latest_revision`), or the new one is for the same subscription and time.
 */
import type { Fact, Instant, ServicePeriod } from "../../facts.ts"
import { type CaseState, type CustomerState, type PaymentState, paymentOf } from "../../state.ts"
import { withCase } from "./cases.ts"
import { caseOf, withPayment } from "./payment-matching.ts"
import { entriesWhere } from "./records.ts"

/** A bill that is written anew is written within so many days of the old one's end. */
const REISSUE_WINDOW_MS = 14 * 86_400_000

/** Notes which invoice takes the place of which; the case moves once the old one is voided. */
export function recordReissue(state: CustomerState, fact: Extract<Fact, { kind: "invoice_reissued" }>): CustomerState {
  const old = paymentOf(state, fact.replaces)
  if (!old || fact.invoiceId === null || fact.invoiceId === old.invoiceId) return state
  const noted = withPayment(state, { ...old, reissuedAs: fact.invoiceId })
  return old.status === "voided" ? moveCase(noted, old.invoiceId, fact.invoiceId, fact.occurredAt) : noted
}

/** The invoice that took the place of one that has just been voided, if one is known. */
export function replacementOf(state: CustomerState, old: PaymentState): string | null {
  if (old.reissuedAs !== undefined) return old.reissuedAs
  const isNewer = (payment: PaymentState) => isReissueOf(old, payment) && newsAt(payment) >= (old.failedAt ?? "")
  const news = entriesWhere(state.payments, isNewer).sort((a, b) =>
    newsAt(a) + a.invoiceId < newsAt(b) + b.invoiceId ? -1 : 1,
  )
  return news[0]?.invoiceId ?? null
}

/** State in which the case of a voided invoice goes on with this one, where this one is the same bill issued anew. */
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

/** The case of the old invoice becomes that of the new one, open; where the new one has a case already, that one remains. */
export function moveCase(state: CustomerState, oldId: string, newId: string, at: Instant): CustomerState {
  const recoveryCase = caseOf(state, oldId)
  const old = paymentOf(state, oldId)
  if (!recoveryCase || !old || !isMovable(recoveryCase)) return state
  const noted = withPayment(state, { ...old, reissuedAs: newId })
  if (caseOf(state, newId)) {
    return { ...noted, cases: noted.cases.filter((candidate) => candidate.id !== recoveryCase.id) }
  }
  const { remainingMinor: _, paidBeforeMinor: __, ...rest } = recoveryCase
  return withCase(noted, {
    ...{ ...rest, invoiceId: newId, status: "open", closeReason: null, closedAt: null },
    heardAt: at,
  })
}

const isMovable = ({ status, closeReason }: CaseState): boolean => status === "open" || closeReason === "voided"

const newsAt = ({ paidAt, failedAt }: PaymentState): Instant => paidAt ?? failedAt ?? ""

const isWithin = (from: Instant, to: Instant): boolean =>
  Math.abs(Date.parse(to) - Date.parse(from)) <= REISSUE_WINDOW_MS

/** Whether the second invoice is for what the first was for, and stands. */
function isReissueOf(old: PaymentState, payment: PaymentState): boolean {
  if (old.invoiceId === payment.invoiceId || old.currency !== payment.currency) return false
  if (payment.status === "voided" || payment.billing === "change") return false
  if (old.billing === "one_off" || payment.billing === "one_off") {
    return old.billing === payment.billing && old.amountMinor === payment.amountMinor
  }
  const isSameSubscription = old.subscriptionId !== null && old.subscriptionId === payment.subscriptionId
  return isSameSubscription && old.period !== undefined && overlaps(old.period, payment.period)
}

/** Two periods are the same time when they share more than half of the shorter one. */
function overlaps(a: ServicePeriod, b: ServicePeriod | undefined): boolean {
  if (b === undefined) return false
  const shared = Math.min(Date.parse(a.end), Date.parse(b.end)) - Math.max(Date.parse(a.start), Date.parse(b.start))
  const shorter = Math.min(lengthOf(a), lengthOf(b))
  return shorter > 0 && shared * 2 > shorter
}

const lengthOf = ({ start, end }: ServicePeriod): number => Date.parse(end) - Date.parse(start)
