/** Which accounts are compared with their providers, in which order, and for how long at a time. */
import {
  type ReconcileStatus,
  type ReconciliationRow,
  reconciliationTargets,
  type Target,
} from "../../db/queries/reconcile/reconciliation.ts"
import { accountsWithAccess } from "../platform/provider-accounts.ts"
import type { Services } from "../platform/services.ts"
import { stepEvents } from "./compare-events.ts"
import { stepSubscriptions } from "./compare-subscriptions.ts"

/** A full pass over the list, and one over all subscriptions, start once a day. */
const FULL_EVERY_MS = 24 * 60 * 60_000

/** Both heartbeats start the job in the same minute; for the second nothing is due then. */
const RECENT_EVERY_MS = 10 * 60_000

/** A pass whose window ended longer ago than this, since it was interrupted, is followed by the next one at once. */
const STALE_MS = 5 * 60_000

/** An account to compare, and the progress of that. */
type Comparison = Awaited<ReturnType<typeof reconciliationTargets>>[number]

/** Every account that this deployment has a key for and may call. */
export async function targetsOf(services: Services): Promise<readonly Comparison[]> {
  const { config, db } = services
  const all = await reconciliationTargets(db, config.access.defaultCompanyId)
  const { companyId: whopCompany } = config.channels.whop
  const isOwnRegistered = all.some(({ provider, account }) => provider === "whop" && account === whopCompany)
  return accountsWithAccess(services, all).filter(
    ({ provider, account }) =>
      config.providers[provider].apiKey !== null &&
      // A list of Whop names its company, so the key's own account may be among the registered ones.
      !(provider === "whop" && account === "" && isOwnRegistered),
  )
}

export interface ReconcileRequest {
  /** Requested through the API: passes start now, and not only when they are due. */
  readonly isRequested: boolean
  /** Whether a request includes subscriptions. */
  readonly withSubscriptions: boolean
  readonly since: string | null
  readonly untilMs: number
}

export interface Outcome {
  readonly reports: readonly ReconciliationRow[]
  /** Steps that threw; the log has their errors. */
  readonly failed: number
  /** Passes that another worker has leased. */
  readonly busy: number
  /** Passes that were due and not started, for lack of time. */
  readonly postponed: number
}

/** Runs one bounded step of every pass that is requested or due. One account that fails does not stop the others. */
export async function reconcile(
  services: Services,
  comparisons: readonly Comparison[],
  request: ReconcileRequest,
): Promise<Outcome> {
  const { log } = services
  const reports: ReconciliationRow[] = []
  const counts = { failed: 0, busy: 0, postponed: 0 }
  const attempt = async (target: Target, step: () => Promise<readonly (ReconciliationRow | null)[]>): Promise<void> => {
    if (services.now().getTime() >= request.untilMs) {
      counts.postponed += 1
      return
    }
    try {
      for (const report of await step()) {
        if (report === null) counts.busy += 1
        else reports.push(report)
      }
    } catch (error) {
      counts.failed += 1
      log.error("reconciliation_failed", { companyId: target.companyId, provider: target.provider, error })
    }
  }
  const now = services.now()
  const due = (kind: ReconcileStatus["kind"], everyMs: number, isForced: boolean): Target[] =>
    comparisons
      .filter(
        ({ statuses }) =>
          isForced ||
          isDue(
            statuses.find((status) => status.kind === kind),
            everyMs,
            now,
          ),
      )
      .map(({ companyId, provider, account }) => ({ companyId, provider, account }))
  const { untilMs, since, isRequested, withSubscriptions } = request

  // Recent events of all accounts come first: a nudge can still help their members.
  for (const target of due("recent", RECENT_EVERY_MS, isRequested)) {
    await attempt(target, () => stepRecent(services, target, untilMs))
  }
  for (const target of due("full", FULL_EVERY_MS, isRequested)) {
    await attempt(target, async () => [await stepEvents(services, target, { kind: "full", since, untilMs })])
  }
  const subscriptionTargets =
    withSubscriptions || !isRequested ? due("subscriptions", FULL_EVERY_MS, withSubscriptions) : []
  for (const target of subscriptionTargets) {
    const accounts = comparisons.filter((one) => one.companyId === target.companyId && one.provider === target.provider)
    const options = { untilMs, isOnlyAccount: accounts.length === 1 }
    await attempt(target, async () => [await stepSubscriptions(services, target, options)])
  }
  return { reports, ...counts }
}

async function stepRecent(services: Services, target: Target, untilMs: number) {
  const step = () => stepEvents(services, target, { kind: "recent", since: null, untilMs })
  const report = await step()
  const isStale = report?.isComplete === true && services.now().getTime() - report.windowUntil.getTime() > STALE_MS
  return isStale ? [report, await step()] : [report]
}

/** A pass under way is always due; the next one, once `everyMs` have passed since the last. */
function isDue(status: ReconcileStatus | undefined, everyMs: number, now: Date): boolean {
  if (status === undefined || status.isOpen || status.completeUntil === null) return true
  const last = status.kind === "recent" ? status.steppedAt : status.completeUntil
  return last === null || now.getTime() - last.getTime() >= everyMs
}
