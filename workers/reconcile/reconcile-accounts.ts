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

/** A whole pass over the list, and one over all subscriptions, are begun once a day. */
const WHOLE_EVERY_MS = 24 * 60 * 60_000

/** Both heartbeats call in the same minute; the second finds that the first was there. */
const RECENT_EVERY_MS = 10 * 60_000

/** A pass that ended where it had stood still for long is followed by the next one at once. */
const STALE_MS = 5 * 60_000

/** An account to be compared, and how far that is. */
type Comparison = Awaited<ReturnType<typeof reconciliationTargets>>[number]

/** Every account that this deployment has a key for and may ask. */
export async function targetsOf(services: Services): Promise<readonly Comparison[]> {
  const { config, db } = services
  const all = await reconciliationTargets(db, config.access.defaultCompanyId)
  const { companyId: whopCompany } = config.channels.whop
  const isOwnRegistered = all.some(({ provider, account }) => provider === "whop" && account === whopCompany)
  return accountsWithAccess(services, all).filter(
    ({ provider, account }) =>
      config.providers[provider].apiKey !== null &&
      // Whop's lists name their company, so the key's own account may be one that is registered.
      !(provider === "whop" && account === "" && isOwnRegistered),
  )
}

export interface ReconcileRequest {
  /** Somebody asks: passes are begun now, and not only when it is time. */
  readonly isAsked: boolean
  /** The same for subscriptions. */
  readonly withSubscriptions: boolean
  readonly since: string | null
  readonly untilMs: number
}

export interface Outcome {
  readonly reports: readonly ReconciliationRow[]
  /** Steps that threw, of which the log tells. */
  readonly failed: number
  /** Passes that another worker has in its hands. */
  readonly busy: number
  /** Passes that were due and not begun, for want of time. */
  readonly postponed: number
}

/** Takes one bounded step of everything that is wished or due. One account that fails does not keep the others back. */
export async function reconcile(
  services: Services,
  comparisons: readonly Comparison[],
  wish: ReconcileRequest,
): Promise<Outcome> {
  const { log } = services
  const reports: ReconciliationRow[] = []
  const counts = { failed: 0, busy: 0, postponed: 0 }
  const attempt = async (target: Target, step: () => Promise<readonly (ReconciliationRow | null)[]>): Promise<void> => {
    if (services.now().getTime() >= wish.untilMs) {
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
  const due = (kind: ReconcileStatus["kind"], everyMs: number, isWished: boolean): Target[] =>
    comparisons
      .filter(
        ({ standings }) =>
          isWished ||
          isDue(
            standings.find((one) => one.kind === kind),
            everyMs,
            now,
          ),
      )
      .map(({ companyId, provider, account }) => ({ companyId, provider, account }))
  const { untilMs, since, isAsked, withSubscriptions } = wish

  // What has just happened comes first, everywhere: it is what somebody may still be helped with.
  for (const target of due("recent", RECENT_EVERY_MS, isAsked)) {
    await attempt(target, () => stepRecent(services, target, untilMs))
  }
  for (const target of due("full", WHOLE_EVERY_MS, isAsked)) {
    await attempt(target, async () => [await stepEvents(services, target, { kind: "full", since, untilMs })])
  }
  const withMembers = withSubscriptions || !isAsked ? due("subscriptions", WHOLE_EVERY_MS, withSubscriptions) : []
  for (const target of withMembers) {
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

/** A pass under way is always due; the next one is when it was long ago that the last one ended. */
function isDue(standing: ReconcileStatus | undefined, everyMs: number, now: Date): boolean {
  if (standing === undefined || standing.isOpen || standing.completeUntil === null) return true
  const last = standing.kind === "recent" ? standing.steppedAt : standing.completeUntil
  return last === null || now.getTime() - last.getTime() >= everyMs
}
