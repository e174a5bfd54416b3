-- Owner: churn_system
-- Callers: churn_worker
-- Companies of `p_companies` (null: all) with milestones to announce, the longest waiting first.
CREATE OR REPLACE FUNCTION announcing_companies(p_limit integer, p_companies text[]) RETURNS TABLE (company_id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT d.company_id FROM (
    SELECT m.company_id, m.recorded_at FROM public.milestones m
    WHERE m.announcement = 'planned' AND (p_companies IS NULL OR m.company_id = ANY (p_companies)) ORDER BY m.recorded_at LIMIT p_limit
  ) AS d GROUP BY d.company_id ORDER BY min(d.recorded_at)
$$;
