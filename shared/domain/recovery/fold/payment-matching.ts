/**
 * Which payment a fact speaks of. One attempt is told by up to three events (invoice, charge, payment intent); since
 * Stripe's version 2025-03-31 the latter two do not name the invoice, so they are paired with it by amount and time.
 * A stored state keeps the keys of its records in no order of ours, so nothing here depends on that order.
 */
import type { Fact, Instant } from "../../facts.ts"
import type { CaseState, CustomerState, PaymentState, UnmatchedPayment } from "../../state.ts"
import { markLive, withCase } from "./cases.ts"
import { entriesOf, entriesWhere, withEntry } from "./records.ts"

type Failed = Extract<Fact, { kind: "payment_failed" }>
type Succeeded = Extract<Fact, { kind: "payment_succeeded" }>

/** A charge and the invoice event that tells of it come seconds apart; ten minutes leave room for a slow capture. */
export const PAIRING_WINDOW_MS = 10 * 60_000

/**
 * One failure told twice, by an event that numbers the attempt and by one that cannot (it was read from the invoice later),
 * carries the same second, or the next; the next attempt of an invoice is hours away.
 */
const SAME_FAILURE_MS = 5_000

/** Loose charges kept for pairing; a customer has a handful within the window. */
const UNMATCHED_MAX = 20

/** Names of one payment, and attempts of one kind of one invoice; a provider makes a handful. */
export const REFS_MAX = 40

/** State with the payment. */
export const withPayment = (state: CustomerState, payment: PaymentState): CustomerState => ({
  ...state,
  payments: withEntry(state.payments, payment.invoiceId, payment),
})

/** The case of an invoice, if there is one. */
export const caseOf = (state: CustomerState, invoiceId: string): CaseState | undefined =>
  state.cases.find((candidate) => candidate.kind === "payment" && candidate.invoiceId === invoiceId)

/** The invoice that a charge or payment intent is known to have paid (or tried to); null when nothing says. */
export function invoiceOf(
  state: CustomerState,
  refs: { readonly chargeId: string | null; readonly paymentIntentId: string | null },
): string | null {
  const wanted = refsOf(refs)
  if (wanted.length === 0) return null
  let first: string | null = null
  for (const { invoiceId, refs: known } of entriesOf(state.payments)) {
    if ((first === null || invoiceId < first) && known.some((ref) => wanted.includes(ref))) first = invoiceId
  }
  return first
}

export const refsOf = (fact: { readonly chargeId: string | null; readonly paymentIntentId: string | null }): string[] =>
  [fact.chargeId, fact.paymentIntentId].filter((ref) => ref !== null)

/** All of them, sorted; where there are too many, the first that the order has. */
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
  loose: UnmatchedPayment,
  other: { readonly amountMinor: number | null; readonly currency: string | null; readonly at: Instant },
): boolean =>
  loose.currency !== null &&
  loose.amountMinor === other.amountMinor &&
  loose.currency === other.currency &&
  Math.abs(Date.parse(loose.at) - Date.parse(other.at)) <= PAIRING_WINDOW_MS

/** Gives a charge that names no invoice to the invoice of the same outcome, amount and time; else keeps it for later. */
export function pairWithInvoice(state: CustomerState, loose: UnmatchedPayment): CustomerState {
  const match = bestMatch(state, loose)
  if (!match) return { ...state, loose: mergeUnmatched(state.loose, loose) }

  const payment: PaymentState = {
    ...match,
    refs: mergeRefs(match.refs, loose.refs),
    declineCode: loose.declineCode ?? match.declineCode,
  }
  const changed = withPayment(state, payment)
  const recoveryCase = caseOf(changed, match.invoiceId)
  if (!recoveryCase || loose.outcome === "succeeded") return changed
  return withCase(changed, {
    ...markLive(recoveryCase, loose),
    declineCode: payment.declineCode,
    chargeFailures: addAttempt(recoveryCase.chargeFailures, loose.refs),
  })
}

/**
 * Subscriptions of one price fail together, and each attempt has one charge: an invoice whose attempts have their charges
 * already takes no more of them. Of those that remain, the nearest in time.
 */
function bestMatch(state: CustomerState, loose: UnmatchedPayment): PaymentState | undefined {
  const isAlike = ({ status, amountMinor }: PaymentState) =>
    status === loose.outcome && amountMinor === loose.amountMinor
  const alike = entriesWhere(state.payments, isAlike)
  if (alike.length === 0) return undefined
  const cases = new Map(state.cases.map((entry) => [entry.kind === "payment" ? entry.invoiceId : null, entry]))
  const candidates = alike.flatMap((payment) => {
    const recoveryCase = cases.get(payment.invoiceId)
    const at = loose.outcome === "failed" ? lastFailureAt(recoveryCase, payment) : payment.paidAt
    if (at === null || !isSameAttempt(loose, { ...payment, at })) return []
    const isOpenForCharge = lacksCharge(recoveryCase, payment)
    if (loose.outcome === "failed" && !isOpenForCharge) return []
    return [{ payment, rank: isOpenForCharge ? 0 : 1, distanceMs: Math.abs(Date.parse(loose.at) - Date.parse(at)) }]
  })
  return candidates.sort(
    (a, b) => a.rank - b.rank || a.distanceMs - b.distanceMs || (a.payment.invoiceId < b.payment.invoiceId ? -1 : 1),
  )[0]?.payment
}

function lacksCharge(recoveryCase: CaseState | undefined, payment: PaymentState): boolean {
  if (!recoveryCase || payment.status !== "failed") return payment.refs.length === 0
  return recoveryCase.chargeFailures.length < recoveryCase.invoiceFailures.length
}

/** Attempts with one more, named by the first of its refs (the charge, if there is one); its other names are dropped. */
export const addAttempt = (attempts: readonly string[], [name, ...aliases]: readonly string[]): readonly string[] =>
  name === undefined
    ? attempts
    : mergeRefs(
        attempts.filter((attempt) => !aliases.includes(attempt)),
        [name],
      )

/** A charge and its payment intent are one loose payment once either names the other. */
function mergeUnmatched(list: readonly UnmatchedPayment[], loose: UnmatchedPayment): readonly UnmatchedPayment[] {
  const twin = list.find(
    (entry) => entry.outcome === loose.outcome && entry.refs.some((ref) => loose.refs.includes(ref)),
  )
  const merged = twin
    ? {
        ...withoutOrigin(loose, twin),
        refs: joinRefs(twin.refs, loose.refs),
        declineCode: loose.declineCode ?? twin.declineCode,
      }
    : loose
  return [...list.filter((entry) => entry !== twin), merged].slice(-UNMATCHED_MAX)
}

/** What was told live by either of its tellings was told live. */
function withoutOrigin(loose: UnmatchedPayment, twin: UnmatchedPayment): UnmatchedPayment {
  if (twin.origin !== undefined) return loose
  const { origin: _, ...live } = loose
  return live
}

/** All names, and first the one that is new: a payment intent that came before its charge names no attempt. */
function joinRefs(known: readonly string[], said: readonly string[]): readonly string[] {
  const isRepeated = said[0] !== undefined && known.includes(said[0])
  return [...new Set(isRepeated ? [...known, ...said] : [...said, ...known])]
}

/** Whether this attempt was told before, by another event, and has its charge: then the next charge is another attempt's. */
function isRepeatedAttempt(state: CustomerState, invoiceId: string, fact: Failed): boolean {
  const { invoiceFailures, chargeFailures } = caseOf(state, invoiceId) ?? { invoiceFailures: [], chargeFailures: [] }
  const isKnown = addInvoiceFailure(invoiceFailures, fact).length === invoiceFailures.length
  return isKnown && chargeFailures.length >= invoiceFailures.length
}

/** Marks an attempt of an invoice that was imported; the number, where there is one, and the time follow. */
const IMPORTED = "imported "

/**
 * The attempts that an invoice's own events told of, with one more, as `<attempt>@<time>`. Two tellings are one attempt where
 * one was imported and the other is its webhook, which have other ids and are seconds apart: it stays as the webhook tells
 * it; and where one of the same moment has no number: it stays as the numbered one tells it.
 */
export function addInvoiceFailure(failures: readonly string[], fact: Failed): readonly string[] {
  const isImported = fact.origin !== undefined
  const isNear = (failure: string, windowMs: number) =>
    Math.abs(Date.parse(timeOf(failure)) - Date.parse(fact.occurredAt)) <= windowMs
  const isImportTwin = (failure: string) =>
    failure.startsWith(IMPORTED) !== isImported && isNear(failure, PAIRING_WINDOW_MS)
  const isUnnumberedTwin = (failure: string) =>
    failure.startsWith(IMPORTED) === isImported &&
    isNumbered(failure) !== (fact.attempt !== null) &&
    isNear(failure, SAME_FAILURE_MS)

  if (isImported && failures.some(isImportTwin)) return failures
  if (fact.attempt === null && failures.some(isUnnumberedTwin)) return failures
  const imported = failures.find(isImportTwin)
  return mergeRefs(
    failures.filter((failure) => failure !== imported && !isUnnumberedTwin(failure)),
    [`${isImported ? IMPORTED : ""}${fact.attempt ?? ""}@${fact.occurredAt}`],
  )
}

/** The number stands before the first `@`. */
function isNumbered(failure: string): boolean {
  const last = failure.charAt(failure.indexOf("@") - 1)
  return last >= "0" && last <= "9"
}

/** When the attempts were that an invoice's own events told of. */
export const failureTimes = (failures: readonly string[]): Instant[] => failures.map(timeOf)

const timeOf = (failure: string): Instant => failure.slice(failure.indexOf("@") + 1)

function lastFailureAt(recoveryCase: CaseState | undefined, payment: PaymentState): Instant | null {
  const times = failureTimes(recoveryCase?.invoiceFailures ?? [])
  return times.length === 0 ? payment.failedAt : times.reduce((last, time) => (time > last ? time : last))
}

export function takeUnmatched(
  state: CustomerState,
  outcome: UnmatchedPayment["outcome"],
  fact: Failed | Succeeded,
): { readonly state: CustomerState; readonly taken: UnmatchedPayment | undefined } {
  if (fact.invoiceId === null || state.loose.length === 0) return { state, taken: undefined }
  const own = refsOf(fact)
  const mayGuess =
    own.length === 0 && !(fact.kind === "payment_failed" && isRepeatedAttempt(state, fact.invoiceId, fact))
  const taken =
    state.loose.find((loose) => loose.outcome === outcome && loose.refs.some((ref) => own.includes(ref))) ??
    state.loose.find(
      (loose) => loose.outcome === outcome && mayGuess && isSameAttempt(loose, { ...fact, at: fact.occurredAt }),
    )
  return { state: taken ? { ...state, loose: state.loose.filter((loose) => loose !== taken) } : state, taken }
}
