/**
 * A segment's rule as a condition on `customers`. Field names select expressions of this file; all values from a company are
 * bound parameters. Each expression filters by company, in addition to row-level security.
 */
import { type SQL, sql } from "drizzle-orm"
import type {
  ChoiceField,
  Comparison,
  Condition,
  FlagField,
  NumberField,
  SegmentRule,
} from "../../../shared/domain/interventions/segments.ts"
import { customers } from "../../schema.ts"
import { textArray } from "../platform/companies.ts"

interface Scope {
  readonly companyId: string
  readonly now: Date
}

/** The condition for membership in the segment. It is never null. */
export function segmentCondition(rule: SegmentRule, scope: Scope): SQL {
  if ("field" in rule) return sql`coalesce((${condition(rule, scope)}), false)`
  if ("not" in rule) return sql`not ${segmentCondition(rule.not, scope)}`
  const parts = ("all" in rule ? rule.all : rule.any).map((part) => segmentCondition(part, scope))
  return "all" in rule
    ? sql`(${sql.join([sql`true`, ...parts], sql` and `)})`
    : sql`(${sql.join([sql`false`, ...parts], sql` or `)})`
}

function condition(rule: Condition, scope: Scope): SQL {
  if ("in" in rule) return choice(rule.field, textArray(rule.in), scope)
  if ("is" in rule) return sql`${flag(rule.field, scope)} = ${rule.is}`
  return sql`${number(rule.field, scope)} ${OPERATORS[rule.op]} ${rule.value}::double precision`
}

const OPERATORS: Readonly<Record<Comparison, SQL>> = { lt: sql`<`, lte: sql`<=`, gt: sql`>`, gte: sql`>=` }

/** Rows of another table that belong to the customer. */
const own = (table: string, { companyId }: Scope): SQL =>
  sql`${sql.identifier(table)} r where r.company_id = ${companyId} and r.customer_id = ${customers.id}`

const profile = (name: string): SQL => sql`(${customers.state} #>> array['profile', ${name}])`

function choice(field: ChoiceField, values: SQL, scope: Scope): SQL {
  const someItem = (name: string): SQL => sql`exists (select from ${own("subscriptions", scope)} and r.ended_at is null
    and exists (select from jsonb_array_elements(r.items) i where i ->> ${name} = any (${values})))`
  switch (field) {
    case "provider":
      return sql`${customers.provider} = any (${values})`
    case "status":
      return sql`exists (select from ${own("subscriptions", scope)} and r.ended_at is null and r.status = any (${values}))`
    case "currency":
      return sql`exists (select from ${own("subscriptions", scope)} and r.ended_at is null and r.currency = any (${values}))`
    case "plan":
      return someItem("priceId")
    case "product":
      return someItem("productId")
    case "interval":
      return someItem("interval")
    case "locale":
      return sql`${profile("locale")} = any (${values})`
    case "timeZone":
      return sql`${profile("timeZone")} = any (${values})`
    case "riskLevel":
      return sql`(select r.risk_level from ${own("customer_scores", scope)} and r.not_scored is null) = any (${values})`
    case "openCase":
      return sql`exists (select from ${own("recovery_cases", scope)} and r.status = 'open' and r.kind = any (${values}))`
  }
}

function number(field: NumberField, scope: Scope): SQL {
  const now = sql`${scope.now.toISOString()}::timestamptz`
  switch (field) {
    case "risk":
      return sql`(select r.probability from ${own("customer_scores", scope)} and r.not_scored is null)`
    case "health":
      // The same scale as shared/domain/scoring/health.ts, with the model's own weights.
      return sql`(select 100 / (1 + 3.0 / 7 * (r.probability / (1 - r.probability)) / (r.base_rate / (1 - r.base_rate)))
        from ${own("customer_scores", scope)} and r.not_scored is null
        and r.probability < 1 and r.base_rate > 0 and r.base_rate < 1)`
    case "tenureDays":
      return sql`(select extract(epoch from ${now} - min(r.started_at)) / 86400
        from ${own("subscriptions", scope)} and r.ended_at is null)`
    case "mrrMinor":
      return sql`(select sum((i ->> 'unitAmountMinor')::numeric * (i ->> 'quantity')::numeric
          / nullif((i ->> 'intervalCount')::numeric, 0) / case i ->> 'interval'
            when 'day' then 12 / 365.25 when 'week' then 84 / 365.25 when 'month' then 1 when 'year' then 12 end)
        from (select r.items from ${own("subscriptions", scope)} and r.ended_at is null
          and r.status in ('active', 'past_due')) s, jsonb_array_elements(s.items) i)`
    case "failedPayments90d":
      return sql`(select count(*) from ${own("payments", scope)} and r.failed_at > ${now} - interval '90 days')`
    case "cases365d":
      return sql`(select count(*) from ${own("recovery_cases", scope)} and r.opened_at > ${now} - interval '365 days')`
    case "daysSinceContact":
      return sql`(select extract(epoch from ${now} - max(r.sent_at)) / 86400 from ${own("nudges", scope)}
        and r.channel <> 'slack' and r.status in ('sent', 'unknown'))`
  }
}

function flag(field: FlagField, scope: Scope): SQL {
  switch (field) {
    case "optedOut":
      return sql`exists (select from ${own("consents", scope)} and not r.is_granted)`
    case "hasEmail":
      return sql`${profile("hasEmail")}::boolean`
    case "cancelScheduled":
      return sql`exists (select from ${own("subscriptions", scope)} and r.ended_at is null and r.cancel_at is not null)`
    case "trialing":
      return sql`exists (select from ${own("subscriptions", scope)} and r.ended_at is null and r.status = 'trialing')`
  }
}
