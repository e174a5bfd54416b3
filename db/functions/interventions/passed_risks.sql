-- Owner: churn_system
-- Callers: churn_worker
-- Open at-risk cases that have expired, or whose customer's latest
-- probability is at most `p_fallen` times the one at opening.
CREATE OR REPLACE FUNCTION passed_risks(p_now timestamptz, p_fallen double precision, p_limit integer, p_companies text[])
RETURNS TABLE (company_id text, customer_id text, id text, probability double precision, as_of timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT r.company_id, r.customer_id, r.id, s.probability, s.as_of
  FROM public.recovery_cases r
    LEFT JOIN public.customer_scores s ON s.company_id = r.company_id AND s.customer_id = r.customer_id AND s.not_scored IS NULL
  WHERE r.kind = 'at_risk' AND r.status = 'open' AND (p_companies IS NULL OR r.company_id = ANY (p_companies))
    AND (r.risk_until <= p_now OR s.as_of > r.opened_at AND s.probability <= r.risk_probability * p_fallen)
  ORDER BY r.risk_until LIMIT p_limit
$$;
