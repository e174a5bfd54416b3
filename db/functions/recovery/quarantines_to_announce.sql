-- Owner: churn_system
-- Callers: churn_worker
-- Quarantines of customers of `p_companies` (null: all) that were not announced to the team, the oldest first.
CREATE OR REPLACE FUNCTION quarantines_to_announce(p_now timestamptz, p_limit integer, p_companies text[])
RETURNS TABLE (company_id text, customer_id text, reason text, since timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT q.company_id, q.customer_id, q.reason, q.since FROM public.customer_quarantines q
    WHERE q.announced_at IS NULL AND q.ends_at > p_now AND (p_companies IS NULL OR q.company_id = ANY (p_companies))
    ORDER BY q.since, q.company_id, q.customer_id LIMIT p_limit
$$;
