-- Open payment cases that were last heard of at or before `p_since`, as far as their rows say, of `p_companies` only unless
-- that is null: those heard of longest ago first.
CREATE OR REPLACE FUNCTION lapsing_cases(p_since timestamptz, p_limit integer, p_companies text[])
RETURNS TABLE (company_id text, customer_id text, id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT r.company_id, r.customer_id, r.id FROM public.recovery_cases r
  WHERE r.kind = 'payment' AND r.status = 'open' AND coalesce(r.last_news_at, r.opened_at) <= p_since
    AND (p_companies IS NULL OR r.company_id = ANY (p_companies))
  ORDER BY coalesce(r.last_news_at, r.opened_at) LIMIT p_limit
$$;
--> statement-breakpoint
DO $$
BEGIN
  EXECUTE format('GRANT churn_system TO %I', current_user);
  GRANT CREATE ON SCHEMA public TO churn_system;
  ALTER FUNCTION lapsing_cases(timestamptz, integer, text[]) OWNER TO churn_system;
  REVOKE CREATE ON SCHEMA public FROM churn_system;
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION lapsing_cases(timestamptz, integer, text[]) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION lapsing_cases(timestamptz, integer, text[]) TO churn_worker;
--> statement-breakpoint
-- Subscriptions whose snapshots contradict each other, of `p_companies` only unless that is null. One is asked about two
-- minutes after its second, when nothing that was on its way settles it any more, and again after as long as it had waited
-- when it was last asked about: five minutes at least and a day at most. Those never asked about come first.
CREATE OR REPLACE FUNCTION unsettled_subscriptions(p_now timestamptz, p_limit integer, p_companies text[])
RETURNS TABLE (company_id text, customer_id text, provider text, id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT s.company_id, s.customer_id, s.provider, s.id FROM public.subscriptions s
  WHERE s.unsettled_at <= p_now - interval '2 minutes'
    AND (s.asked_at IS NULL
      OR s.asked_at + least(greatest(s.asked_at - s.unsettled_at, interval '5 minutes'), interval '1 day') <= p_now)
    AND (p_companies IS NULL OR s.company_id = ANY (p_companies))
  ORDER BY s.asked_at NULLS FIRST, s.unsettled_at LIMIT p_limit
$$;
--> statement-breakpoint
DO $$
BEGIN
  EXECUTE format('GRANT churn_system TO %I', current_user);
  GRANT CREATE ON SCHEMA public TO churn_system;
  ALTER FUNCTION unsettled_subscriptions(timestamptz, integer, text[]) OWNER TO churn_system;
  REVOKE CREATE ON SCHEMA public FROM churn_system;
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION unsettled_subscriptions(timestamptz, integer, text[]) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION unsettled_subscriptions(timestamptz, integer, text[]) TO churn_worker;
