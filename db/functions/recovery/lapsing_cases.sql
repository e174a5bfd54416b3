-- Owner: churn_system
-- Callers: churn_worker
-- Open payment cases of `p_companies` (null: all) whose last news, according
-- to their rows, is at or before `p_since`, the oldest first.
CREATE OR REPLACE FUNCTION lapsing_cases(p_since timestamptz, p_limit integer, p_companies text[])
RETURNS TABLE (company_id text, customer_id text, id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT r.company_id, r.customer_id, r.id FROM public.recovery_cases r
  WHERE r.kind = 'payment' AND r.status = 'open' AND coalesce(r.last_news_at, r.opened_at) <= p_since
    AND (p_companies IS NULL OR r.company_id = ANY (p_companies))
  ORDER BY coalesce(r.last_news_at, r.opened_at) LIMIT p_limit
$$;
