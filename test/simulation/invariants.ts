/**
 * What must hold at the end of a run. The numbers are those of the reliability goals; each violation is a sentence that
 * begins with the number of its invariant. I7 (erasure) and I8 (audit chain) have nothing to check yet: the product has
 * neither. Over 300 lines because the invariants share their evidence and are read together.
 */
import { isDeepStrictEqual } from "node:util"
import type { MailboxMessage } from "../../local/channels/mailbox.ts"
import type { Fact } from "../../shared/domain/facts.ts"
import { causeOf } from "../../shared/domain/recovery/cause.ts"
import { declineAdvice } from "../../shared/domain/recovery/decline-codes.ts"
import { rebuild } from "../../shared/domain/recovery/fold.ts"
import { isQuiet, isTimeZone } from "../../shared/domain/recovery/nudges/quiet-hours.ts"
import { type CompanySettings, DEFAULT_SETTINGS } from "../../shared/domain/settings.ts"
import { assignmentOf, type CustomerState, findCase } from "../../shared/domain/state.ts"
import { FETCHED_ID_PREFIX } from "../../shared/provider.ts"
import type { Delivery } from "./actors/senders.ts"
import {
  canonical,
  type DatabaseState,
  factOf,
  instant,
  ledgerOf,
  type StoredCustomer,
} from "./world/database-state.ts"
import { unresolvedDeadLetters } from "./world/qstash.ts"
import type { DeliveredMessage, Query, World } from "./world/world.ts"

/** Everything that is checked. */
export interface RunEvidence {
  readonly world: World
  readonly seen: DatabaseState
  readonly deliveries: readonly Delivery[]
  readonly settings: ReadonlyMap<string, Partial<CompanySettings>>
  /** Periods in which a switch stopped messages. */
  readonly mutedPeriods: readonly { readonly fromMs: number; readonly untilMs: number }[]
  /** The state after a run without faults with the same events, as text; null: not compared. */
  readonly expected: string | null
  readonly reached: string
}

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

/** An isolate uses switches that are a minute old at most; then a message may be in transit. */
const SWITCH_DELAY_MS = 2 * MINUTE_MS
/** The largest difference of two isolates' clocks, and a lease. */
const CLOCK_DIFFERENCE_MS = 22 * MINUTE_MS

/** Every violation, as a sentence; empty when all invariants hold. */
export function checkInvariants(it: RunEvidence): string[] {
  return [
    ...acknowledged(it),
    ...messages(it),
    ...states(it),
    ...tenants(it),
    ...remainingWork(it),
    ...it.world.runtime.faults.map((fault) => `I0 ${fault}`),
  ]
}

/** I1: what was acknowledged is in the ledger, and what is there was sent. */
function* acknowledged({ seen, deliveries }: RunEvidence): Generator<string> {
  const events = new Map(seen.events.map((event) => [`${event.company_id} ${event.provider_event_id}`, event]))
  for (const { webhook, company, isAcknowledged } of deliveries) {
    const event = events.get(`${company} ${webhook.id}`)
    if (isAcknowledged && !event) yield `I1 ${webhook.type} ${webhook.id} was acknowledged and is lost`
    if (isAcknowledged && event && event.status !== "processed" && event.status !== "unhandled") {
      yield `I1 ${webhook.type} ${webhook.id} was acknowledged and is ${event.status} (${event.error ?? "no reason"})`
    }
  }
  const sent = new Set(deliveries.map(({ webhook, company }) => `${company} ${webhook.id}`))
  for (const [key, { provider_event_id: id }] of events) {
    if (!sent.has(key) && !id.startsWith(FETCHED_ID_PREFIX)) yield `I1 ${key} was never sent`
  }
  if (new Set(seen.keys.map((key) => `${key.company_id} ${key.provider_event_id}`)).size !== seen.keys.length) {
    yield "I1 an event is recorded twice"
  }
  if (events.size !== seen.events.length) yield "I1 an event is stored twice"
}

interface Shown {
  readonly message: MailboxMessage
  readonly delivered: DeliveredMessage
  readonly companyId: string
  readonly nudgeId: string
}

/** I2, I3: visible messages. */
function* messages(it: RunEvidence): Generator<string> {
  const { world, seen } = it
  const shown: Shown[] = []
  for (const [place, message] of world.mailbox.messages.entries()) {
    const delivered = world.deliveredMessages[place]
    const [companyId, ...rest] = (message.idempotencyKey ?? "").split(".")
    if (!delivered || !companyId) yield `I2 a ${message.channel} message without an idempotency key`
    else shown.push({ message, delivered, companyId, nudgeId: rest.join(".") })
  }

  const times = new Map<string, number>()
  for (const { companyId, nudgeId } of shown) {
    times.set(`${companyId} ${nudgeId}`, (times.get(`${companyId} ${nudgeId}`) ?? 0) + 1)
  }
  for (const [key, count] of times) if (count > 1) yield `I2 ${key} was visible ${count} times`
  const steps = new Map<string, Set<string>>()
  for (const { message, companyId, nudgeId } of shown) {
    if (message.channel === "slack") continue
    const stem = `${companyId} ${nudgeId.slice(0, nudgeId.lastIndexOf("."))}`
    steps.set(stem, (steps.get(stem) ?? new Set()).add(nudgeId))
  }
  for (const [stem, ids] of steps) if (ids.size > 1) yield `I2 ${stem} was visible on ${ids.size} channels`

  for (const one of shown) yield* timely(it, one)
  yield* superseded(shown, seen)
  yield* heldOut(shown, seen)
  yield* unknown(it)
  yield* capped(shown, seen)
  yield* onePerDay(shown, seen)
  yield* given(world)
}

/** Checks a message against what the Worker could know: what was committed before its last read, by its own clock. */
function* timely({ world, seen, settings, mutedPeriods }: RunEvidence, shown: Shown): Generator<string> {
  const { message, delivered, companyId, nudgeId } = shown
  const row = seen.nudges.find((nudge) => nudge.company_id === companyId && nudge.id === nudgeId)
  if (!row) {
    yield `I2 ${nudgeId} was visible and is not in the database`
    return
  }
  if (row.status === "planned" || row.status === "failed") yield `I2 ${nudgeId} was visible and is ${row.status}`
  const mark = seen.history.findLast(
    ({ effect, kind, company_id, id, body }) =>
      kind === "nudge" &&
      company_id === companyId &&
      id === nudgeId &&
      body.status === "sending" &&
      effect < delivered.effect,
  )
  if (!mark) {
    yield `I2 ${nudgeId} was sent before it was marked`
    return
  }
  if (message.channel === "slack") return

  const customer = seen.customers.find((one) => one.company_id === companyId && one.id === row.customer_id)
  const read = readBefore(world.queries, mark.effect, nudgeId, row.customer_id)
  if (!customer || read === null) {
    yield `I3 ${nudgeId} was sent without reading its customer`
    return
  }
  const known = rebuild(knownAt(seen, customer, read))
  const recoveryCase = findCase(known, row.case_id)
  if (recoveryCase && recoveryCase.status !== "open") yield `I3 ${nudgeId} was visible after its case was closed`
  if (known.outreach.optedOutAt !== null) yield `I3 ${nudgeId} was visible after the member opted out`
  if (known.profile.isDeleted) yield `I3 ${nudgeId} was visible after the customer was deleted`
  if (recoveryCase?.kind === "payment" && declineAdvice(recoveryCase.declineCode).ask === "silent") {
    yield `I3 ${nudgeId} was visible although the decline code allows no message`
  }

  const rules = { ...DEFAULT_SETTINGS, ...settings.get(companyId) }
  // The mark contains the time of the decision.
  const decidedAt = instant(String(mark.body.sent_at))
  if (row.step !== null && isQuietFor(known, rules, message.channel, decidedAt)) {
    yield `I3 ${nudgeId} was sent at ${decidedAt}, in quiet hours`
  }
  const lateMs = delivered.sentAtMs - Date.parse(decidedAt)
  if (Math.abs(lateMs) > CLOCK_DIFFERENCE_MS) yield `I3 ${nudgeId} was sent ${lateMs} ms after the decision`
  const visibleMs = Date.parse(message.at)
  if (mutedPeriods.some(({ fromMs, untilMs }) => visibleMs > fromMs + SWITCH_DELAY_MS && visibleMs < untilMs)) {
    yield `I3 ${nudgeId} was visible while messages were switched off`
  }
}

/** The effect with which the task that made `mark` last read the customer; null if it had not. */
function readBefore(queries: readonly Query[], mark: number, nudgeId: string, customerId: string): number | null {
  const task = queries.find(({ effect }) => effect === mark)?.task
  const read = queries.findLast(
    (one) =>
      one.task === task &&
      one.effect < mark &&
      one.queries.some(
        ({ query, params }) =>
          (query.includes("claim_nudges(") && String(params[0]).includes(`"${nudgeId}"`)) ||
          (query.includes("read_stream(") && params.includes(customerId)),
      ),
  )
  return read?.effect ?? null
}

/** The facts of a customer that were committed before that effect, without those under other objects. */
function knownAt({ history, facts }: DatabaseState, customer: StoredCustomer, effect: number): Fact[] {
  const before = new Set(
    history
      .filter((line) => line.kind === "fact" && line.effect < effect && line.company_id === customer.company_id)
      .map(({ id }) => id),
  )
  return facts
    .filter(
      (fact) =>
        fact.company_id === customer.company_id &&
        fact.subject === customer.provider_customer_id &&
        fact.provider === customer.provider &&
        before.has(fact.id),
    )
    .map(factOf)
}

function isQuietFor({ profile }: CustomerState, rules: CompanySettings, channel: string, at: string): boolean {
  const own = profile.timeZone !== null && isTimeZone(profile.timeZone) ? profile.timeZone : null
  if (own === null && channel === "email") return false
  return isQuiet(at, rules.quietHours, own ?? rules.timeZone)
}

/** Of steps that are due at the same time only the latest is sent. */
function* superseded(shown: readonly Shown[], seen: DatabaseState): Generator<string> {
  const sent = seen.nudges.filter(
    ({ company_id, id, step, channel, status }) =>
      step !== null &&
      channel !== "slack" &&
      status === "sent" &&
      shown.some(({ companyId, nudgeId }) => companyId === company_id && nudgeId === id),
  )
  for (const earlier of sent) {
    const later = sent.find(
      (one) =>
        one.company_id === earlier.company_id &&
        one.case_id === earlier.case_id &&
        (one.step ?? 0) > (earlier.step ?? 0) &&
        Date.parse(one.due_at) + CLOCK_DIFFERENCE_MS < Date.parse(earlier.sent_at ?? one.due_at),
    )
    if (later) yield `I3 ${earlier.id} was sent although ${later.id} was due`
  }
}

/**
 * A held-out case gets no message: none is requested manually here. A case is assigned once, by the share at that time, and
 * before its first message.
 */
function* heldOut(shown: readonly Shown[], { facts, nudges }: DatabaseState): Generator<string> {
  const assignments = new Map<string, string>()
  for (const { company_id, body } of facts) {
    if (body.kind !== "case_assigned") continue
    const key = `${company_id} ${body.caseId}`
    if (assignments.has(key)) yield `I3 ${key} was assigned twice`
    assignments.set(key, body.arm)
  }
  for (const { companyId, nudgeId } of shown) {
    const row = nudges.find(({ company_id, id }) => company_id === companyId && id === nudgeId)
    const arm = assignments.get(`${companyId} ${row?.case_id}`)
    if (row && arm !== "treated") yield `I3 ${nudgeId} was visible and its case is ${arm ?? "not assigned"}`
  }
}

/** Without faults no outcome is unknown. */
function* unknown({ world, seen }: RunEvidence): Generator<string> {
  if (world.injector.faults.length > 0 || world.runtime.crashes > 0 || world.injector.hasOutages) return
  for (const { id, status, reason } of seen.nudges) if (status === "unknown") yield `I10 ${id} is unknown (${reason})`
}

/** The default frequency caps; a manual nudge counts like any other. */
function* capped(shown: readonly Shown[], seen: DatabaseState): Generator<string> {
  const byCustomer = new Map<string, number[]>()
  for (const { message, companyId, nudgeId } of shown) {
    const row = seen.nudges.find((nudge) => nudge.company_id === companyId && nudge.id === nudgeId)
    if (!row || message.channel === "slack") continue
    const key = `${companyId} ${row.customer_id}`
    byCustomer.set(key, [...(byCustomer.get(key) ?? []), Date.parse(String(row.sent_at ?? message.at))])
  }
  for (const [key, times] of byCustomer) {
    times.sort((a, b) => a - b)
    for (const { max, hours } of DEFAULT_SETTINGS.frequencyCaps) {
      const windowMs = hours * HOUR_MS - CLOCK_DIFFERENCE_MS
      const exceeds = times.some((at, place) => (times[place + max] ?? Number.POSITIVE_INFINITY) - at < windowMs)
      if (exceeds) yield `I3 ${key} had more than ${max} messages within ${hours} hours`
    }
  }
}

/** Of several open invoices of one customer, one is written about per day; the message about the older covers both. */
function* onePerDay(shown: readonly Shown[], seen: DatabaseState): Generator<string> {
  const sent = shown.flatMap(({ message, companyId, nudgeId }) => {
    const row = seen.nudges.find(({ company_id, id }) => company_id === companyId && id === nudgeId)
    const about = seen.cases.find(({ company_id, id }) => company_id === companyId && id === row?.case_id)
    if (!row || !about || row.step === null || message.channel === "slack" || !about.id.startsWith("payment_"))
      return []
    return [{ row, about, at: Date.parse(String(row.sent_at ?? message.at)) }]
  })
  for (const [place, one] of sent.entries()) {
    for (const other of sent.slice(place + 1)) {
      const isTogether =
        one.row.company_id === other.row.company_id &&
        one.row.customer_id === other.row.customer_id &&
        one.row.case_id !== other.row.case_id &&
        Math.abs(one.at - other.at) < DAY_MS - CLOCK_DIFFERENCE_MS
      const areOpen = [one, other].every(({ about }) => about.status === "open")
      if (isTogether && areOpen) yield `I3 ${one.row.id} and ${other.row.id} were visible on one day`
    }
  }
}

/** An incentive is given once per case and step, even if an answer was lost. */
function* given({ mailbox, stripe }: World): Generator<string> {
  for (const subscription of stripe.objects.list("subscriptions")) {
    const discounts = Array.isArray(subscription.discounts) ? subscription.discounts.length : 0
    if (discounts > 1) yield `I2 ${subscription.id} was given ${discounts} discounts`
  }
  const days = new Map<string, number>()
  for (const { path, method, status, idempotencyKey } of mailbox.calls) {
    if (method !== "POST" || status >= 300 || !path.endsWith("/add_free_days")) continue
    const key = idempotencyKey ?? path
    days.set(key, (days.get(key) ?? 0) + 1)
  }
  for (const [key, count] of days) if (count > 1) yield `I2 free days of ${key} were given ${count} times`
}

/** I4, I5: the state is the fold of the ledger, the rows match the state, and faults made no difference. */
function* states(it: RunEvidence): Generator<string> {
  const { seen } = it
  for (const customer of seen.customers) {
    const ledger = ledgerOf(seen, customer)
    const { state } = customer
    if (state === null) {
      if (ledger.length > 0) yield `I5 ${customer.id} has facts and no state`
      continue
    }
    const rebuilt = rebuild(ledger.map(factOf))
    if (canonical(rebuilt) !== canonical(state)) yield `I5 ${customer.id} is not the fold of its ledger`
    const rows = seen.cases.filter((row) => row.company_id === customer.company_id && row.customer_id === customer.id)
    const expected = rebuilt.cases.map((entry) => ({
      id: entry.id,
      status: entry.status,
      cause: causeOf(entry, rebuilt),
      arm: assignmentOf(rebuilt, entry.id)?.arm ?? null,
    }))
    const shown = rows.map(({ id, status, cause, arm }) => ({ id, status, cause, arm }))
    const byId = (a: { id: string }, b: { id: string }): number => (a.id < b.id ? -1 : 1)
    if (!isDeepStrictEqual(expected.sort(byId), shown.sort(byId))) {
      yield `I5 the rows of ${customer.id} say ${JSON.stringify(shown)}, its ledger ${JSON.stringify(expected)}`
    }
    yield* missingNudges(it, customer, rebuilt)
  }
  if (it.expected !== null && it.expected !== it.reached) {
    yield `I4 the state differs from that of a run without faults: ${difference(it.expected, it.reached)}`
  }
}

/** An open case has its nudges: sent, or with a reason. */
function* missingNudges(
  { seen, settings }: RunEvidence,
  { company_id, id }: StoredCustomer,
  state: CustomerState,
): Generator<string> {
  const { playbooks } = { ...DEFAULT_SETTINGS, ...settings.get(company_id) }
  for (const entry of state.cases) {
    if (entry.status !== "open") continue
    const own = seen.nudges.filter((nudge) => nudge.company_id === company_id && nudge.case_id === entry.id)
    for (const { day } of playbooks[entry.kind]) {
      if (!own.some(({ step, customer_id }) => step === day && customer_id === id)) {
        yield `I9 the open case ${entry.id} has no nudge of day ${day}`
      }
    }
  }
}

/** I6: no data of one company belongs to another. Ids in the simulator contain the company in their tag. */
function* tenants({ seen }: RunEvidence): Generator<string> {
  const tagOf = (text: string): string | null => /_([ns])\d+x\w*/.exec(text)?.[1] ?? null
  const isOther = (company: string, text: string): boolean => {
    const tag = tagOf(text)
    return tag !== null && tag !== company.slice("sim_".length, "sim_".length + 1)
  }
  for (const { company_id, id } of seen.customers) if (isOther(company_id, id)) yield `I6 ${id} is with ${company_id}`
  for (const fact of seen.facts) {
    if (isOther(fact.company_id, fact.subject)) yield `I6 ${fact.subject} has facts with ${fact.company_id}`
  }
  for (const { company_id, case_id } of seen.nudges) {
    if (isOther(company_id, case_id)) yield `I6 ${case_id} has nudges with ${company_id}`
  }
}

/** I9: no work is left. */
function* remainingWork({ world, seen }: RunEvidence): Generator<string> {
  const now = world.runtime.worldMs
  for (const { provider_event_id, status, error } of seen.events) {
    if (status === "dead") yield `I9 ${provider_event_id} is dead (${error ?? "no reason"})`
  }
  for (const { id, status, due_at } of seen.nudges) {
    if (status === "sending") yield `I9 ${id} is still being sent`
    if (status === "planned" && Date.parse(due_at) < now - HOUR_MS) yield `I9 ${id} was due at ${due_at} and is planned`
  }
  if (world.runtime.live.size > 0) yield `I9 ${world.runtime.live.size} tasks have not ended`
  const { messages, dead } = world.qstash.state
  if (messages.size > 0) yield `I9 ${messages.size} messages are still with QStash`
  const left = unresolvedDeadLetters(world.qstash.state)
  if (left > 0) yield `I9 QStash has given up ${left} messages`
  for (const { responseStatus, url } of dead.values()) {
    if (responseStatus === 489) yield `I9 the Worker has rejected a message to ${url}`
  }
  const waiting = world.redis.store.read("parked:deliveries", "stream")?.entries.length ?? 0
  if (waiting > 0) yield `I9 ${waiting} deliveries are in the fallback queue in Redis`
  if ((world.redis.store.read("parked:refused", "stream")?.entries.length ?? 0) > 0)
    yield "I9 a fallback delivery was rejected"
}

/** The first difference of two texts. */
function difference(expected: string, reached: string): string {
  let at = 0
  while (at < expected.length && expected[at] === reached[at]) at += 1
  const excerpt = (text: string): string => text.slice(Math.max(0, at - 60), at + 60)
  return `…${excerpt(expected)}… became …${excerpt(reached)}…`
}
