/** Payments in progress: bank debits and vouchers, whose result takes days. */
import type { Fact, Instant } from "../../../facts.ts"
import { type CustomerState, type PendingPayment, paymentOf } from "../../../state.ts"
import { resultTimeoutAt } from "../../payment-methods.ts"
import { invoiceOf, mergeRefs, refsOf } from "./payment-matching.ts"

/** A member has one or two payments in progress; more than this are not kept. */
const PENDING_MAX = 20

/** Adds a payment in progress, once for all events that report it. */
export function addPendingPayment(
  state: CustomerState,
  fact: Extract<Fact, { kind: "payment_pending" }>,
): CustomerState {
  const invoiceId = fact.invoiceId ?? invoiceOf(state, fact)
  const status = paymentOf(state, invoiceId)?.status
  if (status === "succeeded" || status === "voided") return state
  const refs = refsOf(fact)
  const until = resultTimeoutAt(fact.method, fact.occurredAt, fact.expiresAt)
  const isSame = (entry: PendingPayment) =>
    entry.refs.some((ref) => refs.includes(ref)) || (invoiceId !== null && entry.invoiceId === invoiceId)
  const known = (state.pending ?? []).filter(isSame)
  const merged: PendingPayment = {
    invoiceId: invoiceId ?? known.find((entry) => entry.invoiceId !== null)?.invoiceId ?? null,
    refs: mergeRefs(refs, ...known.map((entry) => entry.refs)),
    amountMinor: fact.amountMinor,
    currency: fact.currency,
    since: [fact.occurredAt, ...known.map(({ since }) => since)].sort()[0] ?? fact.occurredAt,
    until: [until, ...known.map((entry) => entry.until)].sort().at(-1) ?? until,
  }
  const others = notTimedOut(state.pending ?? [], fact.occurredAt).filter((entry) => !isSame(entry))
  return withPending(state, [...others, merged].slice(-PENDING_MAX))
}

/** Removes the payment that a fact ends: its result is known. */
export function endPending(
  state: CustomerState,
  fact: {
    readonly occurredAt: Instant
    readonly invoiceId: string | null
    readonly chargeId: string | null
    readonly paymentIntentId: string | null
    readonly amountMinor?: number | null
    readonly currency?: string | null
  },
): CustomerState {
  if (state.pending === undefined) return state
  const refs = refsOf(fact)
  const invoiceId = fact.invoiceId ?? invoiceOf(state, fact)
  const isOver = (entry: PendingPayment) =>
    entry.refs.some((ref) => refs.includes(ref)) ||
    (invoiceId !== null && entry.invoiceId === invoiceId) ||
    // The invoice's own event, where only the amount links the two.
    (fact.invoiceId !== null &&
      entry.invoiceId === null &&
      entry.currency !== null &&
      entry.amountMinor === fact.amountMinor &&
      entry.currency === fact.currency)
  return withPending(
    state,
    notTimedOut(state.pending, fact.occurredAt).filter((entry) => !isOver(entry)),
  )
}

const notTimedOut = (entries: readonly PendingPayment[], at: Instant) => entries.filter((entry) => entry.until >= at)

function withPending(state: CustomerState, pending: readonly PendingPayment[]): CustomerState {
  if (pending.length > 0) return { ...state, pending }
  const { pending: _, ...rest } = state
  return rest
}
