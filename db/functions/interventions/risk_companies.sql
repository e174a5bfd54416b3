-- Owner: churn_system
-- Callers: churn_worker
-- Companies of `p_companies` (null: all) whose customers were not searched for members at risk since `p_before`.
CREATE OR REPLACE FUNCTION risk_companies(p_before timestamptz, p_limit integer, p_companies text[]) RETURNS TABLE (company_id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT c.id FROM public.companies c LEFT JOIN public.risk_passes p ON p.company_id = c.id
  WHERE (p.passed_at IS NULL OR p.passed_at < p_before) AND (p_companies IS NULL OR c.id = ANY (p_companies))
  ORDER BY p.passed_at NULLS FIRST, c.id LIMIT p_limit
$$;
