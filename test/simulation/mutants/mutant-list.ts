/**
 * The guards of the product, each removed in one place. A place must be found exactly once, so that a moved guard is noticed;
 * and some run must fail without it, so that an unnecessary guard is noticed too. Over 300 lines because it is one list.
 */
import type { Patch } from "../world/bundle.ts"

/** What is tried first to notice the missing guard; everything else follows. */
export type DetectionPlan =
  | { readonly kind: "crashes"; readonly flow: string }
  | { readonly kind: "orders"; readonly scenario: string }
  | { readonly kind: "schedules" }

export interface Mutant {
  readonly guard: string
  readonly code?: readonly Patch[]
  /** Changes of functions of the database, in `db/functions/<capability>/<name>.sql`, found like code. */
  readonly functions?: readonly Patch[]
  /** Changes of the tables. */
  readonly tables?: readonly string[]
  readonly first: DetectionPlan
}

const COMMIT = "db/functions/recovery/commit_streams.sql"
const CLAIM_NUDGES = "db/functions/recovery/nudges/claim_nudges.sql"
const CLAIM_DUE = "db/functions/recovery/nudges/claim_due_nudges.sql"
const TIE = "db/functions/recovery/customers/tie_objects.sql"
const SEND = "workers/recovery/nudges/send-claimed.ts"
const SEND_TOGETHER = "workers/recovery/nudges/send-together.ts"
const WRITE_TOGETHER = "workers/recovery/nudges/write-together.ts"
const POLICY = "shared/domain/recovery/nudges/contact-policy.ts"
const CONVERSATION = "shared/domain/recovery/nudges/conversation.ts"
const SWEEP = "workers/operations/sweep-job.ts"
const HTTP = "workers/messaging/http.ts"
const RECORD = "workers/webhooks/record-delivery.ts"
const TOGETHER = "workers/recovery/commit-together.ts"
const LAPSE = "shared/domain/recovery/fold/lapse.ts"

const at = (file: string, find: string, replace: string): Patch => ({ file, find, replace })
const crashes = (flow: string): DetectionPlan => ({ kind: "crashes", flow })
const orders = (scenario: string): DetectionPlan => ({ kind: "orders", scenario })
const schedules: DetectionPlan = { kind: "schedules" }

const NUDGE = "a nudge is sent"
const RENEWAL = "a renewal fails and is paid"

export const MUTANTS: readonly Mutant[] = [
  {
    guard: "an event is recorded once, for good",
    tables: ["ALTER TABLE webhook_event_keys DROP CONSTRAINT webhook_event_keys_pkey"],
    first: orders(RENEWAL),
  },
  {
    guard: "a fact is in the ledger once",
    tables: ["ALTER TABLE facts DROP CONSTRAINT facts_pkey"],
    first: crashes("an operator replays an event"),
  },
  {
    guard: "writers of a customer meet in a version number",
    functions: [at(COMMIT, "AND c.version = p_versions[array_position(p_customers, c.id)]", "")],
    first: crashes("payments and failures of one customer at once"),
  },
  {
    guard: "every commit raises the version",
    functions: [at(COMMIT, "SET version = c.version + 1,", "SET")],
    first: crashes("payments and failures of one customer at once"),
  },
  {
    guard: "a late fact has the ledger folded anew",
    functions: [
      at(
        "db/functions/recovery/read_streams.sql",
        "<= (snapshot.occurred_at, snapshot.rank, snapshot.id)",
        "< ('-infinity', -1, '')",
      ),
    ],
    // What the reading left out would be noticed there, and read again.
    code: [
      at(
        "workers/recovery/advance.ts",
        "if (missing.length === 0) return { ...complete, isReread: false }",
        "return { ...complete, isReread: false }",
      ),
    ],
    first: orders(RENEWAL),
  },
  {
    guard: "a fact that is late within a second is folded onto the state before that second",
    code: [
      at(
        "db/queries/recovery/ledger-pages.ts",
        "return { state: takeBack(snapshot, undo), undo: null }",
        "return { state: snapshot, undo: null }",
      ),
    ],
    first: orders(RENEWAL),
  },
  {
    guard: "the facts of a second include those of linked objects",
    functions: [
      at(
        "db/functions/recovery/read_streams.sql",
        "read.is_whole OR read.is_from_instant, read.is_whole,\n",
        "read.is_whole, read.is_whole,\n",
      ),
    ],
    first: orders("a chargeback on a charge that is not linked to its invoice"),
  },
  {
    guard: "facts of one moment are ordered by rank",
    code: [at("shared/domain/facts.ts", "if (a.rank !== b.rank) return a.rank - b.rank", "")],
    first: orders("ends while an invoice is open"),
  },
  {
    guard: "facts that waited join their customer's ledger",
    functions: [at(TIE, "has_joined := is_customer;", "has_joined := false;")],
    first: orders("a chargeback on a charge that is not linked to its invoice"),
  },
  {
    guard: "an event is answered only after it is stored",
    code: [
      at(
        "workers/webhooks/route.ts",
        "const isDuplicate = await store(c, read, verified.value)",
        "const isDuplicate = false; services.waitUntil(store(c, read, verified.value).catch(() => undefined))",
      ),
    ],
    first: crashes("a webhook opens a case"),
  },
  {
    guard: "an event that no store took is answered 503",
    code: [at("workers/webhooks/route.ts", `if (sink === null) throw notNow("no_sink")`, "")],
    first: crashes("nothing can be stored anywhere"),
  },
  {
    guard: "an event whose group was refused is recorded alone before it is acknowledged",
    code: [at(RECORD, "return recordDelivery(db, event)", "return { isNew: false, setAside: null, stream: null }")],
    first: crashes("the call that records a group of events is refused"),
  },
  {
    guard: "an event whose group has no answer is not acknowledged as recorded",
    code: [
      at(
        RECORD,
        `if (databaseFailure(error) === "outcome_unknown") throw error`,
        `if (databaseFailure(error) === "outcome_unknown") return { isNew: false, setAside: null, stream: null }`,
      ),
    ],
    first: crashes("the call that records a group of events is lost"),
  },
  {
    guard: "an event is finished with another's commit only if that has read what was recorded with it",
    code: [
      at(TOGETHER, "if (other.reading.isWhole && !(stream.isWhole && other.work.factIds.length > 0)) return false", ""),
      at(
        TOGETHER,
        "return missingFacts(other.work.factIds, stream.facts).length === 0",
        "return missingFacts(other.work.factIds, stream.facts).length >= 0",
      ),
    ],
    first: crashes("two events of a customer are committed with one another"),
  },
  {
    guard: "a delivery belongs to the company of its path",
    code: [
      at(
        "workers/webhooks/record-delivery.ts",
        "{ provider, path, account: delivery.account, isOwnSecret, endpoint }",
        "{ provider, path: null, account: delivery.account, isOwnSecret, endpoint }",
      ),
    ],
    first: schedules,
  },
  {
    guard: "a delivery leaves the fallback queue only after it is stored",
    code: [
      at(
        SWEEP,
        "const result = await restoreDelivery(services, entry.sealed)",
        "await removeFromRedisFallback(services, entry, null); const result = await restoreDelivery(services, entry.sealed)",
      ),
    ],
    first: crashes("a delivery parked in Redis comes back"),
  },
  {
    guard: "deliveries in the Redis fallback queue are drained",
    code: [at(SWEEP, `await part("parked", () => drainFallback(services, hasBudget))`, "")],
    first: crashes("a delivery parked in Redis comes back"),
  },
  {
    guard: "messages that QStash gave up on are redriven",
    code: [at(SWEEP, `await part("redriven", () => redriveDeadLetters(services, hasBudget))`, "")],
    first: crashes("a parked delivery that QStash gives up"),
  },
  {
    guard: "unfinished events are finished by the sweep",
    code: [
      at(SWEEP, `await part("events", () => finishEvents(services, hasBudget))\n    reservation`, "reservation"),
      at(SWEEP, `if (counts.cutShort > 0) await part("events", () => finishEvents(services, hasBudget))`, ""),
    ],
    first: crashes("the sweep finishes what was left behind"),
  },
  {
    guard: "nudges that QStash did not deliver are sent by the sweep",
    code: [
      at(
        SWEEP,
        "sendOverdue(services, await enabledCompanies(services, flags, SCHEDULER_SWITCH), {\n        progress,\n        hasBudget,\n      }),",
        "0,",
      ),
    ],
    first: crashes("a nudge that QStash never brings"),
  },
  {
    guard: "the provider is asked for an object's customer",
    code: [at(SWEEP, `await part("resolved", () => lookUpCustomers(services, hasBudget))`, "")],
    first: crashes("a charge finds its customer through the provider's API"),
  },
  {
    guard: "a nudge is marked before it is sent",
    code: [
      at(
        "workers/recovery/nudges/nudge-steps.ts",
        "...writeOf(services, stream, { nudgeId, change, facts, owner, isForPerson: true, isLeaseKept: true }),",
        "...stepWithout(null),",
      ),
    ],
    first: crashes(NUDGE),
  },
  {
    guard: "a nudge whose worker was lost is settled",
    code: [at(SEND, `nudge.id === nudgeId && nudge.status === "sending")) {`, "nudge.id === null)) {")],
    first: crashes(NUDGE),
  },
  {
    guard: "a nudge whose worker was lost is not sent again",
    code: [
      at(SEND, `nudge.id === nudgeId && nudge.status === "sending")) {`, "nudge.id === null)) {"),
      at(SEND, `if (nudge === undefined || !(nudge.status === "planned" || isMarked)) {`, "if (nudge === undefined) {"),
    ],
    first: crashes(NUDGE),
  },
  {
    guard: "a claimed nudge is not claimed by another worker",
    functions: [
      at(CLAIM_NUDGES, "OR v_now.lease_until > p_now AND v_now.lease_owner IS DISTINCT FROM p_dispatcher;", ";"),
    ],
    first: crashes("a nudge is brought twice at once"),
  },
  {
    guard: "a lease expires",
    functions: [
      at(CLAIM_NUDGES, "OR v_now.lease_until > p_now AND", "OR v_now.lease_until IS NOT NULL AND"),
      at(CLAIM_DUE, "OR v_now.lease_until > p_now;", "OR v_now.lease_until IS NOT NULL;"),
    ],
    first: crashes(NUDGE),
  },
  {
    guard: "a nudge that is claimed or marked is not marked again (lease and status)",
    code: [
      at(SEND, `if (nudge === undefined || !(nudge.status === "planned" || isMarked)) {`, "if (nudge === undefined) {"),
    ],
    functions: [
      at(
        COMMIT,
        "IF v_nudge.lease_owner IS DISTINCT FROM p_owners[v_place] OR v_nudge.status NOT IN ('planned', 'sending') THEN",
        "IF false THEN",
      ),
      at(CLAIM_NUDGES, "OR v_now.lease_until > p_now AND v_now.lease_owner IS DISTINCT FROM p_dispatcher;", ";"),
    ],
    first: crashes("a nudge is brought twice at once"),
  },
  {
    guard: "when nudges cannot be written together each is written alone",
    code: [at(WRITE_TOGETHER, "const mayRepeat = commits.length > 1 ||", "const mayRepeat =")],
    first: crashes("the call that marks nudges of a group is refused"),
  },
  {
    guard: "a receipt of unknown outcome is written again",
    code: [
      at(
        WRITE_TOGETHER,
        `|| databaseFailure(error) === "outcome_unknown"`,
        `&& databaseFailure(error) !== "outcome_unknown"`,
      ),
    ],
    first: crashes("the call that records nudges of a group is lost"),
  },
  {
    guard: "a member who has changed is left out of a group's commit",
    code: [
      at(
        WRITE_TOGETHER,
        `const failure = byCustomer.get(customerId) === work ? lost.get(customerId) : "stale_version"`,
        "const failure = lost.size > byCustomer.size ? lost.get(customerId) : undefined",
      ),
    ],
    first: crashes("a member pays while nudges of a group are marked"),
  },
  {
    guard: "a worker that finds its own mark sends the message",
    code: [at(SEND, `hasTriedToMark ||= "nudge" in step.result`, `hasTriedToMark &&= "nudge" in step.result`)],
    first: crashes("the call that marks nudges of a group has no answer"),
  },
  {
    guard: "a nudge is decided again when it is sent",
    code: [
      at(
        SEND,
        "const decision = decideSend(stateOf(stream), nudge, others, settingsOf(stream), now, stream.person)\n\n  switch",
        `const decision = others && decideSend && settingsOf && { kind: "send" }\n\n  switch`,
      ),
    ],
    first: crashes("an outage of a channel ends at night"),
  },
  {
    guard: "no message after the case is closed",
    code: [at(POLICY, `when(recoveryCase.status !== "open")`, "when(recoveryCase.status === null)")],
    first: crashes("a payment closes the case"),
  },
  {
    guard: "no message after an opt-out",
    code: [at(POLICY, "state.outreach.optedOutAt !== null ||", "")],
    first: crashes("a member says stop"),
  },
  {
    guard: "no message about a stolen card",
    code: [
      at(
        CONVERSATION,
        `declineAdvice(declineCode).ask === "silent"`,
        `String(declineAdvice(declineCode).ask) === "never"`,
      ),
    ],
    first: crashes("a stolen card"),
  },
  {
    guard: "no message for a case that is held out",
    code: [at(CONVERSATION, `?.arm === "held_out"`, `?.arm === undefined && false`)],
    first: crashes("a case is held out"),
  },
  {
    guard: "a manual message to a case that is held out needs a confirmation",
    code: [
      at(
        "workers/recovery/nudges/manual-nudge.ts",
        `if (overrides && !overrideHoldout) throw refusal("held_out")`,
        "void overrideHoldout",
      ),
    ],
    first: crashes("a case is held out"),
  },
  {
    guard: "no message in quiet hours",
    code: [at(POLICY, "until(nextContactTime(now, nudge.channel, state, settings, person), now)", "null")],
    first: crashes("an outage of a channel ends at night"),
  },
  {
    guard: "no message beyond the frequency cap",
    code: [
      at(
        "shared/domain/recovery/nudges/contact-times.ts",
        "return freeAt > Date.parse(now) ? new Date(freeAt).toISOString() : null",
        "return freeAt ? null : null",
      ),
    ],
    first: crashes("a person sends one nudge after the other"),
  },
  {
    guard: "cases that are open together are one conversation",
    code: [
      at(POLICY, "when(isCovered(context))", "when(isCovered(context) && false)"),
      at(
        POLICY,
        "until(dailyLimitUntil(context), context.now)",
        "until(dailyLimitUntil(context) && null, context.now)",
      ),
    ],
    first: crashes("three cases at once"),
  },
  {
    guard: "of several due steps only the latest is sent",
    code: [at(POLICY, "when(isSuperseded(context))", "when(isSuperseded(context) && false)")],
    first: crashes("messages are switched off for two days"),
  },
  {
    guard: "an incentive is given once in its period",
    code: [
      at(
        "workers/recovery/apply-incentive.ts",
        `if (!mayGiveIncentive(state, others, settingsOf(stream), now, stream.person)) return { kind: "none" }`,
        "void mayGiveIncentive",
      ),
    ],
    first: crashes("a discount at two steps"),
  },
  {
    guard: "a discount is looked for before it is given, and given under a key",
    code: [
      at("workers/providers/stripe/api/incentive.ts", "if (applied !== null) return { receiptId: applied }", ""),
      at(
        "workers/providers/stripe/api/incentive.ts",
        `{ idempotencyKey: \`\${idempotencyKey}:discount\` }`,
        `{ idempotencyKey: \`\${idempotencyKey}:\${crypto.randomUUID()}\` }`,
      ),
      at(
        "workers/providers/stripe/api/incentive.ts",
        `{ idempotencyKey: \`\${key}:coupon\` }`,
        `{ idempotencyKey: \`\${key}:\${crypto.randomUUID()}\` }`,
      ),
    ],
    first: crashes("a discount of which Stripe's answers are lost"),
  },
  {
    guard: "free days whose answer was lost are not given again",
    code: [
      at(
        "workers/providers/whop/api/client.ts",
        `throw isLostReply(error) ? apiErrorOf("no reply to free days; they may have been added") : error`,
        "throw error",
      ),
    ],
    first: crashes("a nudge with free days at Whop"),
  },
  {
    guard: "a message whose answer was lost is not sent again",
    code: [
      at(
        HTTP,
        `if (reply.kind === "lost") return { kind: "unknown", reason: reply.reason }`,
        `if (reply.kind === "lost") return { kind: "retry", reason: reply.reason, retryAfterMs: null }`,
      ),
    ],
    first: crashes(NUDGE),
  },
  {
    guard: "a gateway's error is no refusal",
    code: [
      at(
        HTTP,
        "const RETRY_STATUSES = new Set([408, 429, 500, 503])",
        "const RETRY_STATUSES = new Set([408, 429, 500, 502, 503, 504])",
      ),
    ],
    first: crashes("a channel's gateway errs"),
  },
  {
    guard: "switches are read at the moment of sending",
    code: [
      at(
        SEND_TOGETHER,
        "if (!isEnabledFor(await services.flags({ isFreshNeeded: true }), NOTIFICATIONS_SWITCH, companyId)) {",
        "if (!NOTIFICATIONS_SWITCH) {",
      ),
      at(
        SEND,
        'if (!isEnabledFor(await claim.lastCheck(), NOTIFICATIONS_SWITCH, stream.companyId)) return { kind: "switched_off" }',
        "",
      ),
    ],
    first: crashes("messages are switched off for two days"),
  },
  {
    guard: "reminders wait while a payment is in progress",
    code: [
      at(
        "shared/domain/recovery/nudges/pause.ts",
        "const inProgress = results.map(",
        "const inProgress = results.slice(0, 0).map(",
      ),
    ],
    first: crashes("a bank debit is under way"),
  },
  {
    guard: "a canceled payment is not in progress any more",
    code: [
      at(
        "shared/domain/recovery/fold.ts",
        `case "payment_canceled":\n      return endPending(state, fact)`,
        `case "payment_canceled":\n      return state`,
      ),
    ],
    first: crashes("a bank debit is given up"),
  },
  {
    guard: "messages do not ask for amounts that were credited or paid",
    code: [
      at(
        "shared/domain/recovery/fold/payments/amounts.ts",
        "Math.max(0, payment.amountMinor - creditedSince - paidSince)",
        "Math.max(0, payment.amountMinor + 0 * (creditedSince + paidSince))",
      ),
    ],
    first: crashes("what a bill asks for changes"),
  },
  {
    guard: "a payment case without news lapses",
    code: [at(LAPSE, "if (due === null || due > now) return null", "if (due === null || now !== null) return null")],
    first: crashes("a payment case without news"),
  },
  {
    guard: "contradicting snapshots of one second are fetched",
    code: [
      at(SWEEP, "if (await settleSubscription(services, found)) settled += 1", "void [settleSubscription, found]"),
    ],
    first: crashes("a subscription with two snapshots in one second"),
  },
  {
    guard: "fetched facts are marked",
    code: [
      at(
        "workers/webhooks/read-delivery.ts",
        `...(isFetched && "subscription" in fact && { fetched: true as const }),`,
        "...(isFetched && {}),",
      ),
    ],
    first: crashes("a subscription with two snapshots in one second"),
  },
]
