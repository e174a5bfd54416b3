/** A manual nudge: subject to the contact rules, due now, and one message per idempotency key. */

import { type Commit, commit } from "../../../db/queries/recovery/commit.ts"
import type { Stream } from "../../../db/queries/recovery/ledger-pages.ts"
import { loadPersonStream, type PersonStream } from "../../../db/queries/recovery/persons.ts"
import { sha256, utf8 } from "../../../shared/crypto/bytes.ts"
import type { SuppressionReason } from "../../../shared/domain/facts.ts"
import { channelsFor, decideSend } from "../../../shared/domain/recovery/decide.ts"
import type { DroppedCase } from "../../../shared/domain/recovery/fold/bounds.ts"
import { fold } from "../../../shared/domain/recovery/fold.ts"
import { manualNudgeId, type Nudge } from "../../../shared/domain/recovery/nudges/nudges.ts"
import { type MemberChannel, settingsOf } from "../../../shared/domain/settings.ts"
import { EMPTY_STATE, findCase, isHeldOut } from "../../../shared/domain/state.ts"
import { AppError } from "../../platform/errors.ts"
import type { Services } from "../../platform/services.ts"
import { isEnabledFor, NOTIFICATIONS_SWITCH } from "../../platform/switches.ts"
import { withReloadRetries } from "../conflict-retries.ts"
import { assignHoldout, keyOf, reachableChannels, stateOf } from "../stream-state.ts"
import { enqueueNudges } from "./enqueue-nudges.ts"

/** The idempotency key of a manual nudge. */
export interface NudgeKey {
  readonly text: string
  /** False when the current minute replaces a missing key. */
  readonly isGiven: boolean
}

const MINUTE_MS = 60_000
/** 96 bits of a digest: no collisions among the keys of one case, and an id short enough for a link. */
const KEY_BYTES = 12

/** The key from an `Idempotency-Key` header of any format; without one, the current minute. */
export async function idempotencyKey(header: string | undefined, now: Date): Promise<NudgeKey> {
  if (header === undefined) return { text: String(Math.floor(now.getTime() / MINUTE_MS)), isGiven: false }
  if (!/^[\x21-\x7e]{1,255}$/.test(header)) {
    throw new AppError("MALFORMED", "Idempotency-Key must be 1 to 255 visible characters.")
  }
  const digest = (await sha256(utf8(header))).slice(0, KEY_BYTES)
  return { text: [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join(""), isGiven: true }
}

/** A manual nudge as it is asked for. */
interface NudgeRequest {
  readonly caseId: string
  readonly channel: MemberChannel | null
  readonly key: NudgeKey
  /** Send although the case is held out: it stays in its arm, and the metrics count it as contacted. */
  readonly overrideHoldout: boolean
}

/** Plans the nudge and publishes it; throws CONFLICT, with the reason, when it may not be sent. */
export async function sendManualNudge(services: Services, first: Stream, request: NudgeRequest): Promise<Nudge> {
  const reload = () => loadPersonStream(services.db, first.companyId, first.customer.id, services.now())
  const read = await reload()
  if (!read) throw new AppError("NOT_FOUND", "There is no such case.")
  const nudge = await withReloadRetries(services, read, (stream) => planOnce(services, stream, request), {
    held: null,
    reload,
  })
  services.waitUntil(enqueueNudges(services, first.companyId, [nudge], stateOf(first)))
  return nudge
}

/** Which nudge would be sent now, without planning it; throws CONFLICT, with the reason, when none may be sent. */
export async function previewManualNudge(services: Services, first: Stream, request: NudgeRequest): Promise<Nudge> {
  const stream = await loadPersonStream(services.db, first.companyId, first.customer.id, services.now())
  if (!stream) throw new AppError("NOT_FOUND", "There is no such case.")
  return (await decideNudge(services, stream, request)).nudge
}

async function planOnce(services: Services, stream: PersonStream, request: NudgeRequest): Promise<Nudge> {
  const { nudge, plan } = await decideNudge(services, stream, request)
  if (plan !== null) await commit(services.db, plan)
  return nudge
}

/** The nudge that a request leads to, and what to commit for it; `plan` is null when the same request was planned before. */
async function decideNudge(
  services: Services,
  stream: PersonStream,
  { caseId, channel, key, overrideHoldout }: NudgeRequest,
): Promise<{ readonly nudge: Nudge; readonly plan: Commit | null }> {
  const now = services.now().toISOString()
  const dropped: DroppedCase[] = []
  const assignments = assignHoldout(services, stream, stateOf(stream))
  const state = fold(assignments, stateOf(stream, dropped), dropped)
  const settings = settingsOf(stream)
  if (!findCase(state, caseId)) throw new AppError("NOT_FOUND", "There is no such case.")

  const earlier = stream.nudges.filter((nudge) => nudge.id === manualNudgeId(caseId, key.text, nudge.channel))
  const same = channel === null ? earlier.at(0) : earlier.find((nudge) => nudge.channel === channel)
  if (same) return { nudge: same, plan: null }
  if (key.isGiven && earlier.length > 0) {
    throw new AppError("CONFLICT", "This Idempotency-Key was used for another channel.", { reason: "key_reused" })
  }

  const flags = await services.flags({ isFreshNeeded: true })
  if (!isEnabledFor(flags, NOTIFICATIONS_SWITCH, stream.companyId)) {
    throw new AppError("CONFLICT", "Messages are switched off.", { reason: "switched_off" })
  }
  const [best] = channelsFor(state, settings, await reachableChannels(services, stream), channel)
  const nudge: Nudge = {
    id: manualNudgeId(caseId, key.text, channel ?? best ?? "email"),
    caseId,
    step: null,
    channel: channel ?? best ?? "email",
    status: "planned",
    reason: null,
    incentive: null,
    dueAt: now,
    attempts: 0,
    sentAt: null,
  }
  const decision = decideSend(state, nudge, stream.nudges, settings, now, stream.person)
  if (decision.kind === "suppress") throw refusal(decision.reason)
  const overrides = isHeldOut(state, caseId)
  if (overrides && !overrideHoldout) throw refusal("held_out")
  if (best === undefined || best !== nudge.channel) throw refusal("no_address")

  const { id: nudgeId, step, dueAt } = nudge
  const plan: Commit = {
    key: keyOf(stream),
    expectedVersion: stream.customer.version,
    now,
    state,
    projected: stream.snapshot ?? EMPTY_STATE,
    dropped,
    facts: [
      ...assignments,
      {
        kind: "nudge_planned",
        id: `nudge_planned:${nudgeId}:${now}`,
        occurredAt: now,
        dueAt,
        ...{ nudgeId, caseId, step, channel: nudge.channel },
        ...(overrides && { overridesHoldout: true }),
      },
    ],
    nudges: [{ kind: "plan", nudge }],
    contact: null,
    processedEvents: [],
  }
  return { nudge, plan }
}

const REFUSALS: Readonly<Record<SuppressionReason, string>> = {
  case_closed: "The case is closed.",
  opted_out: "The member asked for no more messages.",
  invoice_too_old: "The invoice is older than the company's limit.",
  silent_decline_code: "Nothing is said about a payment that was declined for this reason.",
  no_address: "No channel can reach the member.",
  superseded: "A later message of this case is on its way.",
  frequency_cap: "The member has had as many messages as the company allows for now.",
  customer_deleted: "The customer was deleted at the provider.",
  history: "The case is known from imported history only.",
  found_late: "The case was found too late for its playbook.",
  other_case: "Another case of the member is open, and has its own messages.",
  same_conversation: "Another open case of the member was written about already.",
  bought_again: "The member has bought another subscription.",
  quarantined: "The customer is in quarantine. Release it first.",
  held_out: "The case is held out, so that lift can be measured. Send overrideHoldout: true to write all the same.",
}

const refusal = (reason: SuppressionReason): AppError => new AppError("CONFLICT", REFUSALS[reason], { reason })
