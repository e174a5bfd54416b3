-- When a payment case was last heard of: one of which nothing was heard for long lapses. Null in rows of before, for which
-- the opening stands in until the job has looked at them, and in cases of other kinds.
ALTER TABLE recovery_cases ADD COLUMN last_news_at timestamptz;
--> statement-breakpoint
-- lapsing_cases: open payment cases, those heard of longest ago first.
CREATE INDEX recovery_cases_lapsing ON recovery_cases (coalesce(last_news_at, opened_at))
  WHERE kind = 'payment' AND status = 'open';
--> statement-breakpoint
-- Since when two snapshots of a subscription contradict each other, and when its provider was last asked.
ALTER TABLE subscriptions ADD COLUMN unsettled_at timestamptz;
--> statement-breakpoint
ALTER TABLE subscriptions ADD COLUMN asked_at timestamptz;
--> statement-breakpoint
-- unsettled_subscriptions: the few that there are.
CREATE INDEX subscriptions_unsettled ON subscriptions (unsettled_at) WHERE unsettled_at IS NOT NULL;
--> statement-breakpoint
CREATE POLICY system_lapsing ON recovery_cases FOR SELECT TO churn_system USING (kind = 'payment' AND status = 'open');
--> statement-breakpoint
GRANT SELECT (last_news_at) ON recovery_cases TO churn_system;
--> statement-breakpoint
CREATE POLICY system_unsettled ON subscriptions FOR SELECT TO churn_system USING (unsettled_at IS NOT NULL);
--> statement-breakpoint
GRANT SELECT (company_id, customer_id, id, provider, unsettled_at, asked_at) ON subscriptions TO churn_system;
