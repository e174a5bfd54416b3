/**
 * One pass over one account, in steps: each loads the pass from Postgres, continues for a bounded time and saves its
 * progress after every page. A step that is lost loses only its current page.
 */
import * as z from "zod"
import {
  claimPosition,
  historyBoundsOf,
  type Position,
  type PositionKey,
  type ReconciliationRow,
  releasePosition,
  saveProgress,
} from "../../db/queries/reconcile/reconciliation.ts"
import { type Difference, historyCutoff, type Window } from "../../shared/domain/reconcile/reconcile.ts"
import { ProviderApiError } from "../../shared/provider.ts"
import type { Services } from "../platform/services.ts"

/** Longer than a step takes, its last page included. */
const LEASE_MS = 120_000

/** A report lists at most this many of each; it counts them all. */
const LISTED_MAX = 100

/** What the provider has and we cannot get or store, and why. */
export interface Unavailable {
  readonly reason: "older_than_event_list" | "unreadable" | "not_stored" | "unknown_to_provider" | "not_repairable"
  readonly from?: string | undefined
  readonly to?: string | undefined
  readonly providerEventId?: string | undefined
  readonly subscriptionId?: string | undefined
}

const text = z.string()
const count = z.int().nonnegative()
const schema = z.lazy(() =>
  z.object({
    id: z.uuid(),
    startedAt: text,
    from: text,
    until: text,
    /** The requested start; null: none. */
    since: text.nullable(),
    /** Events before this time are history, as if they had been imported. */
    pastBefore: text,
    cursor: text.nullable(),
    phase: z.enum(["theirs", "ours"]),
    counts: z.object({
      checked: count,
      missing: count,
      fetched: count,
      outOfReach: count,
      differences: count,
      repaired: count,
    }),
    outOfReach: z.array(
      z.object({
        reason: z.enum([
          "older_than_event_list",
          "unreadable",
          "not_stored",
          "unknown_to_provider",
          "not_repairable",
        ] satisfies Unavailable["reason"][]),
        from: text.optional(),
        to: text.optional(),
        providerEventId: text.optional(),
        subscriptionId: text.optional(),
      }),
    ),
    differences: z.array(
      z.object({ subscriptionId: text, field: text, ours: text.nullable(), theirs: text.nullable() }),
    ),
    stoppedBy: text.nullable(),
  }),
)

/** A pass under way, which its step changes and saves. */
export type ReconcilePass = z.output<typeof schema>

/** Counts what is unavailable, and lists it while there is room. */
export function addUnavailable(pass: ReconcilePass, entry: Unavailable): void {
  pass.counts.outOfReach += 1
  if (pass.outOfReach.length < LISTED_MAX) pass.outOfReach.push({ ...entry })
}

/** Counts differences, and lists them while there is room. */
export function addDifferences(pass: ReconcilePass, differences: readonly Difference[]): void {
  pass.counts.differences += differences.length
  pass.differences.push(...differences.slice(0, LISTED_MAX - pass.differences.length))
}

interface PassOptions {
  readonly since: string | null
  readonly pastBefore: string
}

function newPass(services: Services, { from, until, gap }: Window, options: PassOptions): ReconcilePass {
  const pass: ReconcilePass = {
    id: services.newId(),
    startedAt: services.now().toISOString(),
    from,
    until,
    ...options,
    cursor: null,
    phase: "theirs",
    counts: { checked: 0, missing: 0, fetched: 0, outOfReach: 0, differences: 0, repaired: 0 },
    outOfReach: [],
    differences: [],
    stoppedBy: null,
  }
  if (gap !== null) addUnavailable(pass, { reason: "older_than_event_list", ...gap })
  return pass
}

export interface Step {
  readonly key: PositionKey
  /** The window of a new pass. */
  readonly window: (completeUntil: Date | null) => Window
  readonly since: string | null
  /** Until when everything was compared, once a pass is complete. */
  readonly completeUntil: (pass: ReconcilePass, before: Date | null) => Date | null
  /** Continues the pass; true when it is complete. `save` is called after each page. */
  readonly work: (pass: ReconcilePass, save: () => Promise<void>) => Promise<boolean>
}

/** Runs one step. Null: another worker has the lease. A failure of the provider ends the step, not the pass. */
export async function runStep(services: Services, step: Step): Promise<ReconciliationRow | null> {
  const { db, log, newId } = services
  const owner = newId()
  const now = services.now()
  const lease = { owner, until: new Date(now.getTime() + LEASE_MS), now }
  const position = await claimPosition(db, step.key, lease)
  if (position === null) return null
  let isReleased = false
  try {
    const bounds = await historyBoundsOf(db, step.key)
    const options = { since: step.since, pastBefore: historyCutoff(bounds, now) }
    const pass =
      passUnderWay(services, position, step, options) ?? newPass(services, step.window(position.completeUntil), options)
    pass.stoppedBy = null
    const save = async (isLast: boolean, isComplete: boolean): Promise<ReconciliationRow> => {
      const at = services.now()
      const report = reportOf(step.key, pass, isComplete ? at : null)
      const completeUntil = isComplete ? step.completeUntil(pass, position.completeUntil) : position.completeUntil
      await saveProgress(db, step.key, owner, { run: isComplete ? null : pass, completeUntil, report, isLast }, at)
      return report
    }
    const isComplete = await continuePass(services, step, pass, async () => void (await save(false, false)))
    const report = await save(true, isComplete)
    isReleased = true
    const { checked, missing, fetched, outOfReach, differences } = pass.counts
    const { companyId, provider, kind } = step.key
    log.info("reconciliation_finished", {
      ...{ companyId, provider, outcome: isComplete ? "complete" : "to_be_continued", source: kind },
      ...{ checked, missing, fetched, outOfReach, differences },
    })
    return report
  } finally {
    if (!isReleased) await releasePosition(db, step.key, owner).catch(() => undefined)
  }
}

/** Does the work of the step; a failure of the provider ends it, and the pass records why. */
async function continuePass(
  { log }: Services,
  { key, work }: Step,
  pass: ReconcilePass,
  save: () => Promise<void>,
): Promise<boolean> {
  try {
    return await work(pass, save)
  } catch (error) {
    if (!(error instanceof ProviderApiError)) throw error
    pass.stoppedBy = reasonOf(error)
    // A cursor that the provider rejects would be rejected for ever; comparing recorded events again costs little.
    if (!error.retry && pass.phase === "theirs") pass.cursor = null
    log.warn("reconciliation_stopped", {
      ...{ companyId: key.companyId, provider: key.provider, reason: pass.stoppedBy, error },
    })
    return false
  }
}

/**
 * The pass to continue; null: there is none, or it has another requested start. One that is still at its first page (the
 * provider failed) gets the current window.
 */
function passUnderWay(
  services: Services,
  { run, completeUntil }: Position,
  step: Step,
  options: PassOptions,
): ReconcilePass | null {
  const saved = schema.safeParse(run)
  if (!saved.success || saved.data.since !== step.since) return null
  const { cursor, phase, id, startedAt } = saved.data
  if (cursor !== null || phase === "ours") return saved.data
  return { ...newPass(services, step.window(completeUntil), options), id, startedAt }
}

function reasonOf({ status, retry }: ProviderApiError): string {
  if (status === 429) return "rate_limited"
  return retry ? "provider_unavailable" : "refused_by_provider"
}

function reportOf(key: PositionKey, pass: ReconcilePass, finishedAt: Date | null): ReconciliationRow {
  const { outOfReach, differences, stoppedBy } = pass
  return {
    ...key,
    id: pass.id,
    startedAt: new Date(pass.startedAt),
    finishedAt,
    windowFrom: new Date(pass.from),
    windowUntil: new Date(pass.until),
    ...pass.counts,
    isComplete: finishedAt !== null,
    details: { outOfReach, differences, stoppedBy },
  }
}
