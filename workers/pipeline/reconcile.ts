/** Which accounts are compared with their providers, in which order, and for how long at a time. */
import {
  type PositionKey,
  type ReconciliationRow,
  readPosition,
  reconciliationTargets,
  type Target,
} from "../../db/queries/reconciliation.ts"
import type { Services } from "../services.ts"
import { stepEvents } from "./reconcile/events.ts"
import { stepSubscriptions } from "./reconcile/subscriptions.ts"

/** A whole pass over the list, and one over all subscriptions, are begun once a day. */
const WHOLE_EVERY_MS = 24 * 60 * 60_000

/** A pass that ended where it had stood still for long is followed by the next one at once. */
const STALE_MS = 5 * 60_000

/** Every account that this deployment has a key for. */
export async function targetsOf(services: Services): Promise<readonly Target[]> {
  const { config, db } = services
  const all = await reconciliationTargets(db, config.access.defaultCompanyId)
  const { companyId: whopCompany } = config.channels.whop
  const isOwnRegistered = all.some(({ provider, account }) => provider === "whop" && account === whopCompany)
  return all.filter(
    ({ provider, account }) =>
      config.providers[provider].apiKey !== null &&
      // Whop's lists name their company, so the key's own account may be one that is registered.
      !(provider === "whop" && account === "" && isOwnRegistered),
  )
}

export interface Wish {
  /** Whole passes are begun now, and not only when a day has gone by. */
  readonly isWhole: boolean
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
export async function reconcile(services: Services, targets: readonly Target[], wish: Wish): Promise<Outcome> {
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
  // What has just happened comes first, everywhere: it is what somebody may still be helped with.
  for (const target of targets) await attempt(target, () => stepRecent(services, target, wish))
  for (const target of targets) {
    await attempt(target, async () =>
      wish.isWhole || (await isDue(services, { ...target, kind: "full" }))
        ? [await stepEvents(services, target, { kind: "full", since: wish.since, untilMs: wish.untilMs })]
        : [],
    )
  }
  for (const target of targets) {
    const others = targets.filter((one) => one.companyId === target.companyId && one.provider === target.provider)
    const options = { untilMs: wish.untilMs, isOnlyAccount: others.length === 1 }
    await attempt(target, async () =>
      wish.withSubscriptions || (!wish.isWhole && (await isDue(services, { ...target, kind: "subscriptions" })))
        ? [await stepSubscriptions(services, target, options)]
        : [],
    )
  }
  return { reports, ...counts }
}

async function stepRecent(services: Services, target: Target, { untilMs }: Wish) {
  const step = () => stepEvents(services, target, { kind: "recent", since: null, untilMs })
  const report = await step()
  const isStale = report?.isComplete === true && services.now().getTime() - report.windowUntil.getTime() > STALE_MS
  return isStale ? [report, await step()] : [report]
}

async function isDue(services: Services, key: PositionKey): Promise<boolean> {
  const position = await readPosition(services.db, key)
  if (position === null || position.completeUntil === null || position.run !== null) return true
  return services.now().getTime() - position.completeUntil.getTime() >= WHOLE_EVERY_MS
}
