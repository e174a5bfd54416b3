/** Payments in progress: bank debits and vouchers whose result is days away. */
import type { Fact, Instant } from "../../facts.ts"
import { type CustomerState, type PendingPayment, paymentOf } from "../../state.ts"
import { resultTimeoutAt } from "../payment-methods.ts"
import { invoiceOf, mergeRefs, refsOf } from "./payment-matching.ts"

/** A member has one or two payments in progress; more than this are not kept. */
const PENDING_MAX = 20

/** Keeps a payment in progress, once for all events that tell of it. */
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
  const twins = (state.pending ?? []).filter(isSame)
  const merged: PendingPayment = {
    invoiceId: invoiceId ?? twins.find((twin) => twin.invoiceId !== null)?.invoiceId ?? null,
    refs: mergeRefs(refs, ...twins.map((twin) => twin.refs)),
    amountMinor: fact.amountMinor,
    currency: fact.currency,
    since: [fact.occurredAt, ...twins.map(({ since }) => since)].sort()[0] ?? fact.occurredAt,
    until: [until, ...twins.map((twin) => twin.until)].sort().at(-1) ?? until,
  }
  const others = live(state.pending ?? [], fact.occurredAt).filter((entry) => !isSame(entry))
  return withPending(state, [...others, merged].slice(-PENDING_MAX))
}

/** The result of a payment: it is not in progress any more. */
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
    // An invoice's own word of its payment, where nothing ties the two but the amount.
    (fact.invoiceId !== null &&
      entry.invoiceId === null &&
      entry.currency !== null &&
      entry.amountMinor === fact.amountMinor &&
      entry.currency === fact.currency)
  return withPending(
    state,
    live(state.pending, fact.occurredAt).filter((entry) => !isOver(entry)),
  )
}

const live = (entries: readonly PendingPayment[], at: Instant) => entries.filter((entry) => entry.until >= at)

function withPending(state: CustomerState, pending: readonly PendingPayment[]): CustomerState {
  if (pending.length > 0) return { ...state, pending }
  const { pending: _, ...rest } = state
  return rest
}
