/**
 * Sends nudges of one company. Claims, marks and receipts are one call to Postgres each for all of them; everything else is
 * done for each nudge alone, and one that fails stops no other.
 */

import { databaseFailure } from "../../../db/client.ts"
import { readWhole } from "../../../db/queries/recovery/ledger-pages.ts"
import { type ClaimResult, claimNudges } from "../../../db/queries/recovery/nudges.ts"
import { startPersonStream } from "../../../db/queries/recovery/persons.ts"
import type { Reservation } from "../../platform/outbound/budget.ts"
import { NUDGE_SUBREQUESTS } from "../../platform/outbound/subrequests.ts"
import type { Services } from "../../platform/services.ts"
import { isEnabledFor, NOTIFICATIONS_SWITCH } from "../../platform/switches.ts"
import { enqueueNudge } from "./enqueue-nudges.ts"
import { act, type Claim, type Done, nothing, type SendNudgeResult } from "./send-claimed.ts"
import { GroupWrites } from "./write-together.ts"

/** Longer than a send and its writes can take, short enough that a failed worker does not block a nudge for long. */
const LEASE_MS = 120_000

/** A nudge of a group, and how it ends: `alone` when it must be claimed without the others. */
type End = Done | "alone"

/**
 * Sends nudges of one company, each if the rules still allow it; the results are in the order of the ids. `dispatcher` is the
 * owner of the leases under which they were published, or null. All are marked at about the same time, so there must be no
 * more of them than can be sent at once. Safe to call any number of times, also concurrently. Subrequests for all calls of a
 * nudge are reserved at the start, so that a nudge that is marked as `sending` is always sent and settled.
 */
export async function sendTogether(
  services: Services,
  companyId: string,
  nudgeIds: readonly string[],
  dispatcher: string | null,
): Promise<readonly PromiseSettledResult<SendNudgeResult>[]> {
  const tasks = nudgeIds.map((nudgeId) => ({ nudgeId, reservation: services.budget.reserve(NUDGE_SUBREQUESTS) }))
  const reserved = tasks.filter((task): task is Task => task.reservation !== null)
  try {
    const ends = await claimAndAct(services, companyId, reserved, dispatcher)
    for (const { reservation } of reserved) reservation.release()
    return await Promise.allSettled(
      tasks.map(async ({ nudgeId, reservation }) => {
        const end = await ends.get(reservation)
        if (end === undefined) return "no_room"
        if (end === "alone") return sendAlone(services, companyId, nudgeId, dispatcher)
        return followUp(services, companyId, end)
      }),
    )
  } finally {
    for (const { reservation } of reserved) reservation.release()
  }
}

/** Sends one nudge; see `sendTogether`. */
async function sendAlone(
  services: Services,
  companyId: string,
  nudgeId: string,
  dispatcher: string | null,
): Promise<SendNudgeResult> {
  const [result] = await sendTogether(services, companyId, [nudgeId], dispatcher)
  if (result?.status === "fulfilled") return result.value
  throw result?.reason
}

/** Sends the next channel's nudge now or at its time, or this one again at its time. */
async function followUp(services: Services, companyId: string, { outcome, fallback, postponed }: Done) {
  if (fallback !== null && fallback.dueAt <= services.now().toISOString()) {
    return sendAlone(services, companyId, fallback.id, null)
  }
  const later = fallback ?? postponed
  if (later) await enqueueNudge(services, companyId, later)
  return outcome
}

interface Task {
  readonly nudgeId: string
  readonly reservation: Reservation
}

/** The ends of the nudges by their reservations, all settled. */
async function claimAndAct(
  services: Services,
  companyId: string,
  tasks: readonly Task[],
  dispatcher: string | null,
): Promise<ReadonlyMap<Reservation | null, Promise<End>>> {
  const { db, newId } = services
  const all = (end: End) => new Map(tasks.map(({ reservation }) => [reservation, Promise.resolve(end)]))
  if (tasks.length === 0) return new Map()
  if (!isEnabledFor(await services.flags({ isFreshNeeded: true }), NOTIFICATIONS_SWITCH, companyId)) {
    return all(nothing("switched_off"))
  }

  const now = services.now()
  const until = new Date(now.getTime() + LEASE_MS)
  const wanted = tasks.map((task) => ({ ...task, owner: newId() }))
  let claims: readonly ClaimResult[]
  try {
    claims = await claimNudges(db, companyId, wanted, { dispatcher, until, now })
  } catch (error) {
    // One that cannot be read must not stop the others. When it is not known whether they were claimed, they are due again
    // once the leases end.
    if (tasks.length === 1 || databaseFailure(error) === "outcome_unknown") throw error
    services.log.warn("group_claim_failed", { companyId, count: tasks.length, error })
    return all("alone")
  }

  const claimed = claims.filter((claim) => claim !== null && claim !== "busy")
  const writes = new GroupWrites(services, companyId, claimed.length)
  const lastCheck = sharingInFlight(() => services.flags({ isImmediate: true }))
  const ends = new Map(
    wanted.map((task, place) => {
      const claim = claims[place] ?? null
      return [task.reservation, endOf(services, claim, { ...task, writes, lastCheck })]
    }),
  )
  await Promise.allSettled(ends.values())
  return ends
}

/** Calls of `read` while one is in flight share it. */
function sharingInFlight<T>(read: () => Promise<T>): () => Promise<T> {
  let inFlight: Promise<T> | null = null
  return () => {
    inFlight ??= read().finally(() => {
      inFlight = null
    })
    return inFlight
  }
}

/** What is done with one claimed nudge, beside the others of its group. */
async function endOf(services: Services, claim: ClaimResult, task: Claim): Promise<End> {
  if (claim === "busy") return "alone"
  if (claim === null) return nothing("not_due")
  const { companyId, customer } = claim
  const { nudgeId, writes } = task
  try {
    const reload = () => startPersonStream(services.db, companyId, customer.id, services.now())
    const stream = await readWhole(services.db, reload, claim)
    if (!stream) throw new Error("an existing customer is gone")
    const done = await act(services, stream, task)
    services.log.info("nudge_done", { companyId, nudgeId, outcome: done.outcome })
    return done
  } catch (error) {
    if (databaseFailure(error) === "lost_lease") return nothing("not_due")
    throw error
  } finally {
    writes.leave()
  }
}
