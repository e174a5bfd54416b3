/**
 * Which payment a fact is about. Up to three events report one attempt (invoice, charge, payment intent); since Stripe's
 * API version 2025-03-31 the latter two do not name the invoice, so they are matched to it by amount and time. `jsonb` does
 * not keep the order of keys, so nothing here depends on the order of records.
 */
import type { Fact, Instant } from "../../../facts.ts"
import type { CaseState, CustomerState, PaymentState, UnmatchedPayment } from "../../../state.ts"
import { markLive, withCase } from "../cases.ts"
import { entriesOf, entriesWhere, withEntry } from "../records.ts"

type Failed = Extract<Fact, { kind: "payment_failed" }>
type Succeeded = Extract<Fact, { kind: "payment_succeeded" }>

/** The events of a charge and its invoice are seconds apart; ten minutes allow for a slow capture. */
export const PAIRING_WINDOW_MS = 10 * 60_000

/**
 * Two events of one failure, one with the attempt number and one without (read from the invoice later), have the same
 * second or the next; the next attempt of an invoice is hours later.
 */
const SAME_FAILURE_MS = 5_000

/** Unmatched payments that are kept; a customer has a handful within the window. */
const UNMATCHED_MAX = 20

/** Ids of one payment, and attempts of one kind of one invoice; normally a handful. */
export const REFS_MAX = 40

/** The state with the payment. */
export const withPayment = (state: CustomerState, payment: PaymentState): CustomerState => ({
  ...state,
  payments: withEntry(state.payments, payment.invoiceId, payment),
})

/** The case of an invoice, if there is one. */
export const caseOf = (state: CustomerState, invoiceId: string): CaseState | undefined =>
  state.cases.find((candidate) => candidate.kind === "payment" && candidate.invoiceId === invoiceId)

/** The invoice of a charge or payment intent; null where it is not known. */
export function invoiceOf(
  state: CustomerState,
  refs: { readonly chargeId: string | null; readonly paymentIntentId: string | null },
): string | null {
  const ids = refsOf(refs)
  if (ids.length === 0) return null
  let first: string | null = null
  for (const { invoiceId, refs: known } of entriesOf(state.payments)) {
    if ((first === null || invoiceId < first) && known.some((ref) => ids.includes(ref))) first = invoiceId
  }
  return first
}

export const refsOf = (fact: { readonly chargeId: string | null; readonly paymentIntentId: string | null }): string[] =>
  [fact.chargeId, fact.paymentIntentId].filter((ref) => ref !== null)

/** The union of the lists, sorted; the first `REFS_MAX` where there are more. */
export function mergeRefs(...lists: readonly (readonly string[])[]): readonly string[] {
  const [known = [], ...others] = lists
  const news = others.flat().filter((ref) => !known.includes(ref))
  if (news.length === 0 && known.length <= REFS_MAX && isSorted(known)) return known
  return [...new Set([...known, ...news])].sort().slice(0, REFS_MAX)
}

const isSorted = (refs: readonly string[]): boolean =>
  refs.every((ref, place) => place === 0 || (refs[place - 1] ?? "") < ref)

export const unmatchedPaymentOf = (
  fact: Failed | Succeeded,
  outcome: UnmatchedPayment["outcome"],
): UnmatchedPayment => ({
  outcome,
  refs: refsOf(fact),
  amountMinor: fact.amountMinor,
  currency: fact.currency,
  declineCode: fact.kind === "payment_failed" ? fact.declineCode : null,
  at: fact.occurredAt,
  ...(fact.origin !== undefined && { origin: fact.origin }),
})

const isSameAttempt = (
  unmatched: UnmatchedPayment,
  other: { readonly amountMinor: number | null; readonly currency: string | null; readonly at: Instant },
): boolean =>
  unmatched.currency !== null &&
  unmatched.amountMinor === other.amountMinor &&
  unmatched.currency === other.currency &&
  Math.abs(Date.parse(unmatched.at) - Date.parse(other.at)) <= PAIRING_WINDOW_MS

/** Adds a charge without an invoice id to the invoice of the same outcome, amount and time; else keeps it as unmatched. */
export function matchWithInvoice(state: CustomerState, unmatched: UnmatchedPayment): CustomerState {
  const match = bestMatch(state, unmatched)
  if (!match) return { ...state, loose: mergeUnmatched(state.loose, unmatched) }

  const payment: PaymentState = {
    ...match,
    refs: mergeRefs(match.refs, unmatched.refs),
    declineCode: unmatched.declineCode ?? match.declineCode,
  }
  const changed = withPayment(state, payment)
  const recoveryCase = caseOf(changed, match.invoiceId)
  if (!recoveryCase || unmatched.outcome === "succeeded") return changed
  return withCase(changed, {
    ...markLive(recoveryCase, unmatched),
    declineCode: payment.declineCode,
    chargeFailures: addAttempt(recoveryCase.chargeFailures, unmatched.refs),
  })
}

/**
 * Subscriptions with the same price fail together, and each attempt has one charge: an invoice whose attempts all have
 * their charges gets no more. Of the others, the nearest in time.
 */
function bestMatch(state: CustomerState, unmatched: UnmatchedPayment): PaymentState | undefined {
  const isAlike = ({ status, amountMinor }: PaymentState) =>
    status === unmatched.outcome && amountMinor === unmatched.amountMinor
  const alike = entriesWhere(state.payments, isAlike)
  if (alike.length === 0) return undefined
  const cases = new Map(state.cases.map((entry) => [entry.kind === "payment" ? entry.invoiceId : null, entry]))
  const candidates = alike.flatMap((payment) => {
    const recoveryCase = cases.get(payment.invoiceId)
    const at = unmatched.outcome === "failed" ? lastFailureAt(recoveryCase, payment) : payment.paidAt
    if (at === null || !isSameAttempt(unmatched, { ...payment, at })) return []
    const isChargeMissing = lacksCharge(recoveryCase, payment)
    if (unmatched.outcome === "failed" && !isChargeMissing) return []
    return [{ payment, rank: isChargeMissing ? 0 : 1, distanceMs: Math.abs(Date.parse(unmatched.at) - Date.parse(at)) }]
  })
  return candidates.sort(
    (a, b) => a.rank - b.rank || a.distanceMs - b.distanceMs || (a.payment.invoiceId < b.payment.invoiceId ? -1 : 1),
  )[0]?.payment
}

function lacksCharge(recoveryCase: CaseState | undefined, payment: PaymentState): boolean {
  if (!recoveryCase || payment.status !== "failed") return payment.refs.length === 0
  return recoveryCase.chargeFailures.length < recoveryCase.invoiceFailures.length
}

/** The attempts with one more, identified by its first ref (the charge, if there is one); its other refs are removed. */
export const addAttempt = (attempts: readonly string[], [id, ...aliases]: readonly string[]): readonly string[] =>
  id === undefined
    ? attempts
    : mergeRefs(
        attempts.filter((attempt) => !aliases.includes(attempt)),
        [id],
      )

/** A charge and its payment intent are one unmatched payment once either names the other. */
function mergeUnmatched(list: readonly UnmatchedPayment[], unmatched: UnmatchedPayment): readonly UnmatchedPayment[] {
  const known = list.find(
    (entry) => entry.outcome === unmatched.outcome && entry.refs.some((ref) => unmatched.refs.includes(ref)),
  )
  const merged = known
    ? {
        ...withoutOrigin(unmatched, known),
        refs: joinRefs(known.refs, unmatched.refs),
        declineCode: unmatched.declineCode ?? known.declineCode,
      }
    : unmatched
  return [...list.filter((entry) => entry !== known), merged].slice(-UNMATCHED_MAX)
}

/** If either of its events was live, the payment is live. */
function withoutOrigin(unmatched: UnmatchedPayment, known: UnmatchedPayment): UnmatchedPayment {
  if (known.origin !== undefined) return unmatched
  const { origin: _, ...live } = unmatched
  return live
}

/** All refs, a new one first: a payment intent that came before its charge does not identify an attempt. */
function joinRefs(known: readonly string[], added: readonly string[]): readonly string[] {
  const isRepeated = added[0] !== undefined && known.includes(added[0])
  return [...new Set(isRepeated ? [...known, ...added] : [...added, ...known])]
}

/** Whether another event reported this attempt before, and it has its charge: then the next charge is another attempt's. */
function isRepeatedAttempt(state: CustomerState, invoiceId: string, fact: Failed): boolean {
  const { invoiceFailures, chargeFailures } = caseOf(state, invoiceId) ?? { invoiceFailures: [], chargeFailures: [] }
  const isKnown = addInvoiceFailure(invoiceFailures, fact).length === invoiceFailures.length
  return isKnown && chargeFailures.length >= invoiceFailures.length
}

/** Prefix of an imported attempt; the number, where there is one, and the time follow. */
const IMPORTED = "imported "

/**
 * The attempts reported by an invoice's own events, with one more, as `<attempt>@<time>`. Two reports are one attempt if one
 * was imported and the other is its webhook, with another id and seconds apart: the webhook's is kept; or if one of the same
 * time has no number: the numbered one is kept.
 */
export function addInvoiceFailure(failures: readonly string[], fact: Failed): readonly string[] {
  const isImported = fact.origin !== undefined
  const isNear = (failure: string, windowMs: number) =>
    Math.abs(Date.parse(timeOf(failure)) - Date.parse(fact.occurredAt)) <= windowMs
  const isSameWithOtherOrigin = (failure: string) =>
    failure.startsWith(IMPORTED) !== isImported && isNear(failure, PAIRING_WINDOW_MS)
  const isSameUnnumbered = (failure: string) =>
    failure.startsWith(IMPORTED) === isImported &&
    isNumbered(failure) !== (fact.attempt !== null) &&
    isNear(failure, SAME_FAILURE_MS)

  if (isImported && failures.some(isSameWithOtherOrigin)) return failures
  if (fact.attempt === null && failures.some(isSameUnnumbered)) return failures
  const imported = failures.find(isSameWithOtherOrigin)
  return mergeRefs(
    failures.filter((failure) => failure !== imported && !isSameUnnumbered(failure)),
    [`${isImported ? IMPORTED : ""}${fact.attempt ?? ""}@${fact.occurredAt}`],
  )
}

/** The number is before the first `@`. */
function isNumbered(failure: string): boolean {
  const last = failure.charAt(failure.indexOf("@") - 1)
  return last >= "0" && last <= "9"
}

/** The times of the attempts that an invoice's own events reported. */
export const failureTimes = (failures: readonly string[]): Instant[] => failures.map(timeOf)

const timeOf = (failure: string): Instant => failure.slice(failure.indexOf("@") + 1)

function lastFailureAt(recoveryCase: CaseState | undefined, payment: PaymentState): Instant | null {
  const times = failureTimes(recoveryCase?.invoiceFailures ?? [])
  return times.length === 0 ? payment.failedAt : times.reduce((last, time) => (time > last ? time : last))
}

/** Removes the unmatched payment that belongs to the fact's invoice, by its ids or by amount and time, and returns it. */
export function takeUnmatched(
  state: CustomerState,
  outcome: UnmatchedPayment["outcome"],
  fact: Failed | Succeeded,
): { readonly state: CustomerState; readonly taken: UnmatchedPayment | undefined } {
  if (fact.invoiceId === null || state.loose.length === 0) return { state, taken: undefined }
  const own = refsOf(fact)
  const canMatchByAmount =
    own.length === 0 && !(fact.kind === "payment_failed" && isRepeatedAttempt(state, fact.invoiceId, fact))
  const taken =
    state.loose.find((entry) => entry.outcome === outcome && entry.refs.some((ref) => own.includes(ref))) ??
    state.loose.find(
      (entry) =>
        entry.outcome === outcome && canMatchByAmount && isSameAttempt(entry, { ...fact, at: fact.occurredAt }),
    )
  return { state: taken ? { ...state, loose: state.loose.filter((entry) => entry !== taken) } : state, taken }
}
