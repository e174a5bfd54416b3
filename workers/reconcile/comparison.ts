/**
 * One pass over one account, in steps: each takes the pass from Postgres, goes on for a bounded while and saves how far it
 * came after every page. A step that is lost costs the page it was at.
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

/** Longer than a step takes with its last page. */
const LEASE_MS = 120_000

/** A report names so many of each; it counts them all. */
const LISTED_MAX = 100

/** What the provider says happened and cannot be had any more, and why. */
export interface Unavailable {
  readonly reason: "older_than_event_list" | "unreadable" | "not_stored" | "unknown_to_provider" | "not_repairable"
  readonly from?: string | undefined
  readonly to?: string | undefined
  readonly providerEventId?: string | undefined
  readonly subscriptionId?: string | undefined
}

const text = z.string()
const count = z.int().nonnegative()
const schema = z.object({
  id: z.uuid(),
  startedAt: text,
  from: text,
  until: text,
  /** From when on somebody asked for; null: nobody did. */
  since: text.nullable(),
  /** What happened before this is history to us, as if it had been imported. */
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
  differences: z.array(z.object({ subscriptionId: text, field: text, ours: text.nullable(), theirs: text.nullable() })),
  stoppedBy: text.nullable(),
})

/** A pass under way. Its step changes it and saves it. */
export type ReconcilePass = z.output<typeof schema>

/** Counts what is out of reach, and lists it while there is room. */
export function addUnavailable(pass: ReconcilePass, entry: Unavailable): void {
  pass.counts.outOfReach += 1
  if (pass.outOfReach.length < LISTED_MAX) pass.outOfReach.push({ ...entry })
}

/** Counts differences, and lists them while there is room. */
export function addDifferences(pass: ReconcilePass, differences: readonly Difference[]): void {
  pass.counts.differences += differences.length
  pass.differences.push(...differences.slice(0, LISTED_MAX - pass.differences.length))
}

interface Asked {
  readonly since: string | null
  readonly pastBefore: string
}

function newPass(services: Services, { from, until, gap }: Window, asked: Asked): ReconcilePass {
  const pass: ReconcilePass = {
    id: services.newId(),
    startedAt: services.now().toISOString(),
    from,
    until,
    ...asked,
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
  /** What a new pass looks at. */
  readonly window: (completeUntil: Date | null) => Window
  readonly since: string | null
  /** What a pass that has ended leaves as complete. */
  readonly completeUntil: (pass: ReconcilePass, before: Date | null) => Date | null
  /** Goes on with the pass; true when it has ended. `save` is called after each page. */
  readonly work: (pass: ReconcilePass, save: () => Promise<void>) => Promise<boolean>
}

/** Takes one step. Null: another worker has this pass in its hands. A provider that is away ends the step, not the pass. */
export async function runStep(services: Services, step: Step): Promise<ReconciliationRow | null> {
  const { db, log, newId } = services
  const owner = newId()
  const now = services.now()
  const lease = { owner, until: new Date(now.getTime() + LEASE_MS), now }
  const position = await claimPosition(db, step.key, lease)
  if (position === null) return null
  let isReleased = false
  try {
    const begun = await historyBoundsOf(db, step.key)
    const asked = { since: step.since, pastBefore: historyCutoff(begun, now) }
    const pass =
      passUnderWay(services, position, step, asked) ?? newPass(services, step.window(position.completeUntil), asked)
    pass.stoppedBy = null
    const save = async (isLast: boolean, isComplete: boolean): Promise<ReconciliationRow> => {
      const at = services.now()
      const report = reportOf(step.key, pass, isComplete ? at : null)
      const completeUntil = isComplete ? step.completeUntil(pass, position.completeUntil) : position.completeUntil
      await saveProgress(db, step.key, owner, { run: isComplete ? null : pass, completeUntil, report, isLast }, at)
      return report
    }
    const isComplete = await work(services, step, pass, async () => void (await save(false, false)))
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

/** The step's own work; a provider that is away ends it, and the pass remembers why. */
async function work(
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
    // A cursor that the provider refuses would be refused for ever; what is known by now costs little to see again.
    if (!error.retry && pass.phase === "theirs") pass.cursor = null
    log.warn("reconciliation_stopped", {
      ...{ companyId: key.companyId, provider: key.provider, reason: pass.stoppedBy, error },
    })
    return false
  }
}

/**
 * The pass to go on with; null: none is, or it is one for another time. One that has not come past its first page yet (the
 * provider was away) looks at the time as it is now.
 */
function passUnderWay(
  services: Services,
  { run, completeUntil }: Position,
  step: Step,
  asked: Asked,
): ReconcilePass | null {
  const saved = schema.safeParse(run)
  if (!saved.success || saved.data.since !== step.since) return null
  const { cursor, phase, id, startedAt } = saved.data
  if (cursor !== null || phase === "ours") return saved.data
  return { ...newPass(services, step.window(completeUntil), asked), id, startedAt }
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
