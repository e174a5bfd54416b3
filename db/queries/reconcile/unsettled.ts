/** Unsettled subscriptions: two snapshots of one second contradict each other. */
import { and, eq, sql } from "drizzle-orm"
import type { ProviderName } from "../../../shared/domain/facts.ts"
import { type Db, inCompany } from "../../client.ts"
import { subscriptions } from "../../schema.ts"
import { textArray } from "../platform/companies.ts"

export interface UnsettledSubscription {
  readonly companyId: string
  readonly customerId: string
  readonly provider: ProviderName
  readonly subscriptionId: string
}

/** Subscriptions that are due to be looked up at the provider, never looked-up ones first; `companies` null: of all. */
export async function unsettledSubscriptions(
  db: Db,
  {
    now,
    limit,
    companies,
  }: { readonly now: Date; readonly limit: number; readonly companies: readonly string[] | null },
): Promise<readonly UnsettledSubscription[]> {
  const result = await db.execute<{ company_id: string; customer_id: string; provider: ProviderName; id: string }>(
    sql`select company_id, customer_id, provider, id
      from unsettled_subscriptions(${now.toISOString()}::timestamptz, ${limit}, ${textArray(companies)})`,
  )
  return result.rows.map(({ company_id, customer_id, provider, id }) => ({
    ...{ companyId: company_id, customerId: customer_id },
    ...{ provider, subscriptionId: id },
  }))
}

/** Records that a subscription is looked up at the provider, so that the lookup is not repeated at once. */
export async function recordSubscriptionLookup(
  db: Db,
  { companyId, customerId, subscriptionId }: UnsettledSubscription,
  now: Date,
): Promise<void> {
  await inCompany(db, companyId, [
    db
      .update(subscriptions)
      .set({ askedAt: now })
      .where(
        and(
          eq(subscriptions.companyId, companyId),
          eq(subscriptions.customerId, customerId),
          eq(subscriptions.id, subscriptionId),
        ),
      ),
  ])
}
