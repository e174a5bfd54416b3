/**
 * Generated customer histories that are plausible: subscriptions with trials, pauses and scheduled cancellations; invoices
 * that fail, are retried, paid, voided, refunded or disputed; our own outreach in between. Times are few and round, so that
 * many facts share a second. Over 300 lines because the generators and what they generate are read together.
 */
import fc from "fast-check"
import type { Fact, Instant, SubscriptionSnapshot } from "../../../shared/domain/facts.ts"
import { isOutreach } from "../../../shared/domain/recovery/fold.ts"
import * as make from "./facts.ts"

const SECOND = 1_000
const HOUR = 3_600 * SECOND
const DAY = 24 * HOUR

const CODES = [null, "insufficient_funds", "expired_card", "stolen_card", "authentication_required", "new_code"]

/** Which events report an attempt, and how many seconds after the invoice's event the charge's comes. */
const report = fc.record({
  shape: fc.constantFrom("invoice", "legacy", "basil", "charge only"),
  chargeAfter: fc.constantFrom(-1, 0, 0, 2),
  hasIntent: fc.boolean(),
  code: fc.constantFrom(...CODES),
})

const invoice = fc.record({
  amount: fc.constantFrom(0, 1_999, 1_999, 5_000),
  attempts: fc.array(fc.record({ after: fc.constantFrom(0, SECOND, HOUR, 2 * DAY), report }), { maxLength: 4 }),
  isLastAttemptFinal: fc.boolean(),
  isAuthenticationRequired: fc.constantFrom(false, false, true),
  end: fc.constantFrom("paid", "paid", "paid elsewhere", "voided", "uncollectible", "open"),
  endAfter: fc.constantFrom(0, 0, SECOND, 5 * HOUR, 9 * DAY),
  isReportedTwice: fc.boolean(),
  lateFailureAfter: fc.constantFrom(null, null, 0, DAY),
  dispute: fc.constantFrom(null, null, "open", "won", "lost", "withdrawn", "inquiry"),
  refund: fc.constantFrom(null, null, 500, 1_999),
  hasRefundFailed: fc.constantFrom(false, false, true),
  pending: fc.constantFrom(null, null, null, "matched", "unmatched"),
  credit: fc.constantFrom(null, null, null, 500, 1_999),
  part: fc.constantFrom(null, null, null, 300),
  isReissued: fc.constantFrom(false, false, true),
})

const plan = fc.record({
  start: fc.constantFrom(0, 0, 3 * DAY),
  trialDays: fc.constantFrom(0, 0, 7),
  isStartReported: fc.constantFrom(true, true, false),
  invoices: fc.array(invoice, { minLength: 1, maxLength: 3 }),
  announcements: fc.array(
    fc.record({ at: fc.constantFrom(0, 20 * DAY, 40 * DAY), withdrawnAfter: fc.constantFrom(null, 0, DAY) }),
    { maxLength: 2 },
  ),
  statusLater: fc.constantFrom(null, null, "past_due", "unpaid", "paused", "unknown"),
  pause: fc.constantFrom(null, null, "requested", "payment_failure"),
  end: fc.constantFrom(null, null, 0, 33 * DAY, 66 * DAY),
  isRevived: fc.constantFrom(false, false, true),
})

type GeneratedPlan = typeof plan extends fc.Arbitrary<infer T> ? T : never
type GeneratedInvoice = GeneratedPlan["invoices"][number]

const outreachAction = fc.record({
  kind: fc.constantFrom(
    "sent",
    "clicked",
    "incentive",
    "opted out",
    "closed",
    "sent",
    "assigned",
    "varied",
    "at risk",
    "risk passed",
  ),
  about: fc.nat({ max: 20 }),
  at: fc.constantFrom(0, DAY, 2 * DAY, 4 * DAY, 35 * DAY, 36 * DAY),
})

const member = fc.record({
  hasEmail: fc.boolean(),
  hasPhone: fc.boolean(),
  timeZone: fc.constantFrom(null, "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Nowhere/Atlantis"),
  cards: fc.array(fc.record({ isByProvider: fc.boolean(), at: fc.constantFrom(0, HOUR, 3 * DAY, 34 * DAY) }), {
    maxLength: 2,
  }),
  isDeletedLater: fc.constantFrom(false, false, false, true),
})

const history = fc.record({
  member,
  plans: fc.array(plan, { minLength: 1, maxLength: 3 }),
  outreach: fc.array(outreachAction, { maxLength: 6 }),
})

/** A customer's facts, in no particular order. */
export const arbitraryFacts: fc.Arbitrary<readonly Fact[]> = history.map(({ member, plans, outreach }) => {
  const facts: Fact[] = []
  // Ids come from a counter per history, scattered so that they are in no order.
  const id = () => `${((facts.length + 1) * 7_919) % 9_973}_${facts.length}`
  const at = (ms: number): Instant => new Date(Date.parse(make.on(0)) + ms).toISOString()
  const add = (fact: Fact): void => void facts.push({ ...fact, id: id() })

  const { hasEmail, hasPhone, timeZone } = member
  add(make.customerSeen({ at: at(0), hasEmail, hasPhone, timeZone }))
  for (const card of member.cards)
    add((card.isByProvider ? make.cardUpdatedByProvider : make.cardAdded)({ at: at(card.at) }))
  if (member.isDeletedLater) add(make.customerSeen({ at: at(70 * DAY), deleted: true }))
  plans.forEach((entry, index) => {
    addPlan(entry, `sub_${index}`, at, add)
  })

  const caseIds = facts.flatMap((fact) =>
    fact.kind === "payment_failed" && fact.invoiceId !== null
      ? [`payment_${fact.invoiceId}`]
      : fact.kind === "cancellation_announced"
        ? [`cancellation_${fact.subscription.subscriptionId}_1`]
        : [],
  )
  for (const entry of outreach)
    add(outreachFact(entry, caseIds[entry.about % Math.max(caseIds.length, 1)] ?? "no_case", at))
  return facts
})

function addPlan(
  entry: GeneratedPlan,
  subscriptionId: string,
  at: (ms: number) => Instant,
  add: (fact: Fact) => void,
): void {
  const firstInvoiceAt = entry.start + entry.trialDays * DAY
  const base: Partial<SubscriptionSnapshot> & { subscriptionId: string } = {
    subscriptionId,
    startedAt: at(entry.start),
    trialEnd: entry.trialDays > 0 ? at(firstInvoiceAt) : null,
  }
  const status = entry.trialDays > 0 ? "trialing" : "active"
  if (entry.isStartReported) add(make.subscription("subscription_started", { at: at(entry.start), ...base, status }))
  if (entry.trialDays > 0)
    add(make.subscription("trial_ending", { at: at(entry.start + 4 * DAY), ...base, status: "trialing" }))

  entry.invoices.forEach((invoice, index) => {
    const invoiceId = `in_${subscriptionId.slice(4)}_${index}`
    addInvoice(invoice, { invoiceId, subscriptionId, isFirst: index === 0 }, firstInvoiceAt + index * 30 * DAY, at, add)
  })
  for (const { at: moment, withdrawnAfter } of entry.announcements) {
    add(make.cancellationAnnounced({ at: at(moment), ...base, cancelAt: at(moment + 30 * DAY) }))
    if (withdrawnAfter !== null)
      add(make.subscription("subscription_resumed", { at: at(moment + withdrawnAfter), ...base }))
  }
  if (entry.statusLater !== null)
    add(make.subscription("subscription_changed", { at: at(38 * DAY), ...base, status: entry.statusLater }))
  if (entry.pause !== null)
    add(make.subscription("subscription_paused", { at: at(31 * DAY), ...base, status: "paused", paused: entry.pause }))
  if (entry.end !== null) add(make.subscriptionEnded({ at: at(entry.end), ...base }))
  if (entry.isRevived) add(make.subscription("subscription_resumed", { at: at(67 * DAY), ...base }))
}

interface About {
  readonly invoiceId: string
  readonly subscriptionId: string
  readonly isFirst: boolean
}

function addInvoice(
  invoice: GeneratedInvoice,
  { isFirst, ...refs }: About,
  dueAt: number,
  at: (ms: number) => Instant,
  add: (fact: Fact) => void,
): void {
  const money = { amountMinor: invoice.amount, currency: "usd" }
  const paymentIntentId = `pi_${refs.invoiceId}`
  let moment = dueAt
  invoice.attempts.forEach(({ after, report: { shape, chargeAfter, hasIntent, code } }, index) => {
    moment += after
    const chargeAt = at(moment + chargeAfter * SECOND)
    const charge = { chargeId: `ch_${refs.invoiceId}_${index}`, ...(hasIntent && { paymentIntentId }) }
    const isLast = index === invoice.attempts.length - 1
    const nextAttemptAt = isLast && invoice.isLastAttemptFinal ? null : at(moment + 2 * DAY)
    const attempt = { attempt: index + 1, nextAttemptAt, isFirstInvoice: isFirst && index % 2 === 0 }
    if (shape !== "charge only")
      add(make.paymentFailed({ at: at(moment), ...refs, ...money, ...attempt, ...(shape === "legacy" && charge) }))
    if (shape === "invoice") return
    const named = shape === "legacy" ? refs : {}
    add(make.chargeFailed({ at: chargeAt, ...named, ...money, ...charge, declineCode: code }))
    if (hasIntent)
      add(make.chargeFailed({ at: chargeAt, ...named, ...money, paymentIntentId, chargeId: null, declineCode: code }))
  })
  if (invoice.isAuthenticationRequired) add(make.actionRequired({ at: at(moment), ...refs, ...money }))

  const endAt = moment + invoice.endAfter
  if (invoice.pending !== null) {
    const names = invoice.pending === "matched" ? refs : { invoiceId: null, subscriptionId: null }
    add(make.paymentPending({ at: at(moment), ...names, ...money, paymentIntentId, method: "sepa_debit" }))
  }
  const credited = Math.min(invoice.credit ?? 0, invoice.amount)
  const paidPart = Math.min(invoice.part ?? 0, invoice.amount - credited)
  if (invoice.credit !== null)
    add(make.invoiceCredited({ at: at(moment + SECOND), ...refs, ...money, amountMinor: credited }))
  if (invoice.part !== null) {
    const amountMinor = invoice.amount - credited - paidPart
    add(make.invoiceChanged({ at: at(moment + SECOND), ...refs, ...money, amountMinor, paidMinor: paidPart }))
  }
  if (invoice.isReissued) {
    const again = { ...refs, invoiceId: `${refs.invoiceId}_again` }
    add(make.invoiceReissued({ at: at(moment), ...again, replaces: refs.invoiceId }))
    if (invoice.end === "voided") add(make.paymentSucceeded({ at: at(endAt + SECOND), ...again, ...money }))
  }
  if (invoice.end === "voided") add(make.invoiceVoided({ at: at(endAt), ...refs }))
  if (invoice.end === "uncollectible") add(make.invoiceUncollectible({ at: at(endAt), ...refs }))
  if (invoice.end !== "paid" && invoice.end !== "paid elsewhere") return
  const how = invoice.end === "paid" ? "collected" : "out_of_band"
  add(make.paymentSucceeded({ at: at(endAt), ...refs, ...money, how }))
  if (invoice.isReportedTwice)
    add(make.chargeSucceeded({ at: at(endAt), ...money, paymentIntentId, chargeId: "ch_paid" }))
  if (invoice.lateFailureAfter !== null)
    add(make.paymentFailed({ at: at(endAt + invoice.lateFailureAfter), ...refs, ...money, attempt: 9 }))
  if (invoice.refund !== null)
    add(
      make.refunded({ at: at(endAt + DAY), ...refs, ...money, amountMinor: Math.min(invoice.refund, invoice.amount) }),
    )
  if (invoice.refund !== null && invoice.hasRefundFailed)
    add(make.refundFailed({ at: at(endAt + DAY + HOUR), ...refs, ...money, amountMinor: invoice.refund }))
  if (invoice.dispute === null) return
  const dispute = { ...refs, ...money, disputeId: `dp_${refs.invoiceId}` }
  add(make.disputeOpened({ at: at(endAt + 2 * DAY), ...dispute, isInquiry: invoice.dispute === "inquiry" }))
  if (invoice.dispute === "open" || invoice.dispute === "inquiry") return
  add(make.disputeClosed({ at: at(endAt + 2 * DAY + HOUR), ...dispute, outcome: invoice.dispute }))
}

function outreachFact(
  { kind, at: moment }: typeof outreachAction extends fc.Arbitrary<infer T> ? T : never,
  caseId: string,
  at: (ms: number) => Instant,
): Fact {
  const stamp = { at: at(moment), caseId }
  switch (kind) {
    case "clicked":
      return make.linkClicked(stamp)
    case "incentive":
      return make.incentiveApplied(stamp)
    case "opted out":
      return make.optedOut(stamp)
    case "at risk":
      return make.riskDetected({ at: stamp.at, caseId: "at_risk_sub_0", subscriptionId: "sub_0" })
    case "risk passed":
      return make.riskPassed({ at: stamp.at, caseId: moment > 4 * DAY ? "at_risk_sub_0" : caseId })
    case "varied":
      return make.variantAssigned(stamp)
    case "assigned":
      return make.caseAssigned({ ...stamp, arm: moment > DAY ? "held_out" : "treated" })
    case "closed":
      return make.closedByOperator(stamp)
    default:
      return make.nudgeSent({ ...stamp, nudgeId: `${caseId}.0.email` })
  }
}

/** A customer with many subscriptions that fail within days of each other, for several reasons one after the other. */
export const manySubscriptionsFacts: fc.Arbitrary<readonly Fact[]> = fc
  .array(
    fc.record({
      day: fc.constantFrom(0, 0, 0, 1, 2),
      codes: fc.array(fc.constantFrom(null, "insufficient_funds", "stolen_card"), { minLength: 1, maxLength: 3 }),
      paidAfter: fc.constantFrom(null, null, 3, 5),
    }),
    { minLength: 4, maxLength: 8, size: "max" },
  )
  .map((invoices) => [
    make.customerSeen({ at: make.on(0), id: "seen", hasEmail: true, hasPhone: true, timeZone: "Europe/Berlin" }),
    ...invoices.flatMap(({ day, codes, paidAfter }, index) => {
      const refs = { invoiceId: `in_${index}`, subscriptionId: `sub_${index}` }
      const failures = codes.map((declineCode, turn) =>
        make.paymentFailed({
          at: make.on(day + 2 * turn),
          id: `${index}.${turn}`,
          ...refs,
          attempt: turn + 1,
          declineCode,
        }),
      )
      const paid = make.paymentSucceeded({ at: make.on(day + (paidAfter ?? 0)), id: `${index}.paid`, ...refs })
      return paidAfter === null ? failures : [...failures, paid]
    }),
  ])

const FLOOD_TIMES = fc.nat({ max: 400 }).map((hours) => new Date(Date.parse(make.on(0)) + hours * HOUR).toISOString())

/** More of everything than the state of a customer keeps: invoices, cases, subscriptions, clicks, assignments. */
export const overLimitFacts: fc.Arbitrary<readonly Fact[]> = fc
  .array(
    fc.record({
      kind: fc.constantFrom(
        ...Array(9).fill("failed"),
        ...Array(4).fill("paid"),
        "charge",
        "voided",
        "disputed",
        "refunded",
      ),
      outreachAction: fc.constantFrom(
        null,
        null,
        null,
        null,
        "clicked",
        "sent",
        "assigned",
        "varied",
        "announced",
        "resumed",
        "ended",
      ),
      invoice: fc.nat({ max: 330 }),
      subscription: fc.nat({ max: 12 }),
      at: FLOOD_TIMES,
    }),
    { minLength: 900, maxLength: 1_100, size: "max" },
  )
  .map((entries) =>
    entries.map(({ kind, outreachAction: outreachKind, invoice, subscription, at }, index) => {
      const refs = { invoiceId: `in_${invoice}`, subscriptionId: `sub_${subscription}` }
      const given = { at, id: `${(index * 7_919) % 9_973}_${index}`, ...refs }
      const { subscriptionId } = refs
      const caseId = `payment_in_${invoice}`
      switch (outreachKind ?? kind) {
        case "clicked":
          return make.linkClicked({ at, id: given.id, caseId })
        case "sent":
          return make.nudgeSent({ at, id: given.id, caseId })
        case "assigned":
          return make.caseAssigned({ at, id: given.id, caseId })
        case "varied":
          return make.variantAssigned({ at, id: given.id, caseId })
        case "announced":
          return make.cancellationAnnounced({ at, id: given.id, subscriptionId })
        case "resumed":
          return make.subscription("subscription_resumed", { at, id: given.id, subscriptionId })
        case "ended":
          return make.subscriptionEnded({ at, id: given.id, subscriptionId: `sub_${invoice}` })
        case "paid":
          return make.paymentSucceeded(given)
        case "charge":
          return make.chargeFailed({ at, id: given.id, chargeId: `ch_${index}` })
        case "voided":
          return make.invoiceVoided(given)
        case "disputed":
          return make.disputeOpened({ ...given, disputeId: `dp_${invoice}` })
        case "refunded":
          return make.refunded(given)
        default:
          return make.paymentFailed({ ...given, attempt: 1 + (index % 3), isFirstInvoice: invoice % 4 === 0 })
      }
    }),
  )

/** A history without our own outreach. */
export const providerFacts: fc.Arbitrary<readonly Fact[]> = arbitraryFacts.map((facts) =>
  facts.filter(({ kind }) => !isOutreach(kind) && kind !== "case_closed_by_operator"),
)

/** Facts as they arrive: in any order, some of them more than once. */
export const arrivalOrders = (facts: readonly Fact[]): fc.Arbitrary<readonly Fact[]> =>
  fc
    .subarray([...facts])
    .chain((again) => fc.shuffledSubarray([...facts, ...again], { minLength: facts.length + again.length }))

const ID = fc.constantFrom("__proto__", "constructor", "toString", "hasOwnProperty", "", "1", "10", "a", "a@b", "a.b|c")
const WHEN = fc.constantFrom(...[0, 1, 2, 20, 45].map((day) => make.on(day)), make.on(0, "10:00:01"))
const AMOUNT = fc.constantFrom(0, 1, 1_999, Number.MAX_SAFE_INTEGER)
const maybe = <T>(some: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(some, { nil: null })

const refs = {
  invoiceId: maybe(ID),
  subscriptionId: maybe(ID),
  chargeId: maybe(ID),
  paymentIntentId: maybe(ID),
}
const money = { amountMinor: AMOUNT, currency: fc.constantFrom("usd", "jpy") }
/** What an event may leave out; adapters leave out both or neither, the fold accepts either. */
const stated = { amountMinor: maybe(AMOUNT), currency: maybe(fc.constantFrom("usd", "jpy")) }
const snapshot = fc.record({
  subscriptionId: ID,
  status: fc.constantFrom("active", "trialing", "past_due", "unpaid", "paused", "incomplete", "unknown", "canceled"),
  currency: maybe(fc.constantFrom("usd", "jpy")),
  items: fc.array(
    fc.record({
      priceId: maybe(ID),
      productId: fc.constant(null),
      unitAmountMinor: maybe(AMOUNT),
      quantity: fc.constantFrom(0, 1, Number.MAX_SAFE_INTEGER),
      interval: fc.constantFrom("month", null),
      intervalCount: fc.constant(1),
      usageType: fc.constantFrom("licensed", "metered"),
    }),
    { maxLength: 2 },
  ),
  startedAt: maybe(WHEN),
  currentPeriodEnd: maybe(WHEN),
  trialEnd: maybe(WHEN),
  cancelAt: maybe(WHEN),
  endedAt: maybe(WHEN),
  paused: maybe(fc.constantFrom("requested", "payment_failure")),
})
const caseId = fc.oneof(
  ID,
  ID.map((id) => `payment_${id}`),
  ID.map((id) => `cancellation_${id}_1`),
)

// biome-ignore format: a table of kinds
const anyBody = fc.oneof(
  fc.record({ kind: fc.constant("payment_failed" as const), ...refs, ...stated, attempt: maybe(fc.nat({ max: 3 })), declineCode: maybe(ID), nextAttemptAt: maybe(WHEN), isFirstInvoice: fc.boolean() }),
  fc.record({ kind: fc.constant("payment_succeeded" as const), ...refs, ...stated, how: fc.constantFrom("collected", "out_of_band") }),
  fc.record({ kind: fc.constant("payment_action_required" as const), ...refs, ...stated }),
  fc.record({ kind: fc.constant("payment_refunded" as const), ...refs, ...money }),
  fc.record({ kind: fc.constantFrom("invoice_voided", "invoice_uncollectible"), ...refs }),
  fc.record({ kind: fc.constant("payment_pending" as const), ...refs, ...money, method: maybe(fc.constantFrom("card", "sepa_debit")), expiresAt: maybe(WHEN) }),
  fc.record({ kind: fc.constant("payment_canceled" as const), ...refs }),
  fc.record({ kind: fc.constant("invoice_changed" as const), ...refs, ...money, paidMinor: AMOUNT, creditedMinor: AMOUNT }),
  fc.record({ kind: fc.constant("invoice_credited" as const), ...refs, ...money, creditNoteId: ID, isVoided: fc.boolean() }),
  fc.record({ kind: fc.constant("invoice_part_paid" as const), ...refs, ...money, partId: ID }),
  fc.record({ kind: fc.constant("invoice_reissued" as const), ...refs, replaces: ID }),
  fc.record({ kind: fc.constant("payment_refunded" as const), ...refs, ...money, refundId: ID, refundMinor: AMOUNT }),
  fc.record({ kind: fc.constant("refund_failed" as const), ...refs, ...money, refundId: ID }),
  fc.record({ kind: fc.constant("subscription_changed" as const), subscription: snapshot, replaced: fc.record({ status: fc.constantFrom("active", "past_due"), cancelAt: maybe(WHEN) }) }),
  fc.record({ kind: fc.constant("case_lapsed" as const), caseId }),
  fc.record({ kind: fc.constant("subscription_not_found" as const), subscriptionId: ID }),
  fc.record({ kind: fc.constant("dispute_opened" as const), ...refs, ...stated, disputeId: ID, reason: maybe(ID), isInquiry: fc.boolean() }),
  fc.record({ kind: fc.constant("dispute_closed" as const), ...refs, ...stated, disputeId: ID, outcome: fc.constantFrom("won", "lost", "withdrawn") }),
  fc.record({ kind: fc.constantFrom("subscription_started", "subscription_changed", "subscription_paused", "subscription_resumed", "trial_ending"), subscription: snapshot }),
  fc.record({ kind: fc.constant("cancellation_announced" as const), subscription: snapshot, reason: maybe(ID) }),
  fc.record({ kind: fc.constant("subscription_ended" as const), subscription: snapshot, reason: fc.constantFrom("requested", "payment_failed", "unknown") }),
  fc.record({ kind: fc.constantFrom("payment_method_added", "payment_method_updated_by_provider"), paymentMethodId: ID }),
  fc.record({ kind: fc.constant("customer_seen" as const), hasEmail: fc.boolean(), timeZone: maybe(ID), deleted: fc.boolean() }),
  fc.record({ kind: fc.constant("usage_recorded" as const), meter: ID, quantity: AMOUNT, subscriptionId: maybe(ID) }),
  fc.record({ kind: fc.constant("ticket_opened" as const), ticketId: ID, isNegative: fc.boolean() }),
  fc.record({ kind: fc.constant("ticket_closed" as const), ticketId: ID, isNegative: maybe(fc.boolean()) }),
  fc.record({ kind: fc.constant("nudge_sent" as const), nudgeId: ID, caseId, step: fc.constant(0), channel: fc.constantFrom("email", "sms"), providerMessageId: fc.constant(null) }),
  fc.record({ kind: fc.constant("link_clicked" as const), caseId, nudgeId: maybe(ID) }),
  fc.record({ kind: fc.constant("opted_out" as const), caseId: maybe(caseId), via: fc.constantFrom("page", "operator") }),
  fc.record({ kind: fc.constant("case_closed_by_operator" as const), caseId, note: maybe(ID) }),
)

/** Facts that no provider would send: any ids, any order, names of properties that every object inherits. */
export const anyFacts: fc.Arbitrary<readonly Fact[]> = fc
  .array(fc.tuple(anyBody, WHEN, fc.nat({ max: 999 })), { maxLength: 30, size: "max" })
  .map((entries) =>
    entries.map(
      ([body, occurredAt, salt], index): Fact => ({ ...structuredClone(body), occurredAt, id: `${salt}_${index}` }),
    ),
  )
