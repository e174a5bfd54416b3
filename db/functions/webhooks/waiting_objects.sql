-- Owner: churn_system
-- Callers: churn_worker
-- Objects without a customer since before `p_before`: those never looked up
-- first, the others again after intervals that double, and none older than two weeks (a guest's payment has no customer
-- at all).
CREATE OR REPLACE FUNCTION waiting_objects(p_before timestamptz, p_limit integer)
RETURNS TABLE (company_id text, provider text, object_id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT l.company_id, l.provider, l.object_id FROM public.object_links l
  WHERE NOT l.is_customer AND l.created_at <= p_before AND l.created_at > p_before - interval '14 days'
    AND (l.asked_at IS NULL OR l.asked_at + (l.asked_at - l.created_at) <= p_before)
  ORDER BY l.asked_at NULLS FIRST, l.created_at LIMIT p_limit
$$;
