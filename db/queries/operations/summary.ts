/** Current counts of a company, in one round trip. */
import { and, count, eq, sql } from "drizzle-orm"
import type { Arm, ChannelName } from "../../../shared/domain/facts.ts"
import type { NudgeStatus } from "../../../shared/domain/recovery/nudges/nudges.ts"
import type { CaseKind, CaseStatus } from "../../../shared/domain/state.ts"
import { type Db, inCompany } from "../../client.ts"
import { type EventStatus, isListedEvent, nudges, recoveryCases, webhookEvents } from "../../schema.ts"
import { isOfMode } from "../webhooks/events.ts"

/** Grouped counts; a missing group has a count of zero. */
export interface SummaryRows {
  readonly events: readonly { readonly status: EventStatus; readonly count: number }[]
  readonly cases: readonly {
    readonly kind: CaseKind
    readonly status: CaseStatus
    /** Null: not assigned. */
    readonly arm: Arm | null
    readonly count: number
  }[]
  readonly nudges: readonly { readonly channel: ChannelName; readonly status: NudgeStatus; readonly count: number }[]
  /** The amounts of recovered cases, in minor units. */
  readonly recovered: readonly {
    readonly currency: string | null
    readonly arm: Arm | null
    readonly amountMinor: number
  }[]
}

/** Counts a company's events, cases and nudges, and sums what was recovered. */
export async function readSummary(db: Db, companyId: string): Promise<SummaryRows> {
  const [events, cases, nudgeCounts, recovered] = await inCompany(db, companyId, [
    db
      .select({ status: webhookEvents.status, count: count() })
      .from(webhookEvents)
      .where(and(eq(webhookEvents.companyId, companyId), isListedEvent, isOfMode))
      .groupBy(webhookEvents.status),
    db
      .select({ kind: recoveryCases.kind, status: recoveryCases.status, arm: recoveryCases.arm, count: count() })
      .from(recoveryCases)
      .where(eq(recoveryCases.companyId, companyId))
      .groupBy(recoveryCases.kind, recoveryCases.status, recoveryCases.arm),
    db
      .select({ channel: nudges.channel, status: nudges.status, count: count() })
      .from(nudges)
      // Always true, and stated by the index of a company's nudges.
      .where(and(eq(nudges.companyId, companyId), sql`${nudges.dueAt} < 'infinity'`))
      .groupBy(nudges.channel, nudges.status),
    db
      .select({
        currency: recoveryCases.currency,
        arm: recoveryCases.arm,
        // A currency without recovered cases, or with everything refunded, is included with zero.
        amountMinor:
          sql`coalesce(sum(${recoveryCases.recoveredMinor}) filter (where ${recoveryCases.status} = 'recovered'), 0)`.mapWith(
            Number,
          ),
      })
      .from(recoveryCases)
      .where(eq(recoveryCases.companyId, companyId))
      .groupBy(recoveryCases.currency, recoveryCases.arm),
  ])
  return { events, cases, nudges: nudgeCounts, recovered }
}
