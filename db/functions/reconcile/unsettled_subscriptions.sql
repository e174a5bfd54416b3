-- Owner: churn_system
-- Callers: churn_worker
-- Subscriptions of `p_companies` (null: all) whose snapshots of the same
-- second contradict each other. Each is read from the provider two minutes after that second, when no delayed event is
-- likely to resolve it, and again after intervals that double: at least five minutes, at most a day. Those never read
-- come first.
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
