-- Owner: churn_system
-- Callers: churn_worker
-- Companies of `p_companies` (null: all) that were not checked, or not
-- retrained, since `p_before`, the longest waiting first.
CREATE OR REPLACE FUNCTION monitoring_due(p_what text, p_before timestamptz, p_limit integer, p_companies text[])
RETURNS TABLE (company_id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT c.id FROM public.companies c
  LEFT JOIN public.monitoring_positions p ON p.company_id = c.id
  CROSS JOIN LATERAL (SELECT CASE p_what WHEN 'check' THEN p.checked_at ELSE p.retrained_at END AS at) AS last
  WHERE (p_companies IS NULL OR c.id = ANY (p_companies)) AND (last.at IS NULL OR last.at < p_before)
  ORDER BY last.at NULLS FIRST, c.id LIMIT p_limit
$$;
