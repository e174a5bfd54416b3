-- Owner: churn_system
-- Callers: churn_worker
-- Companies of `p_companies` (null: all) that have customers with a due milestone, the longest waiting first.
CREATE OR REPLACE FUNCTION milestone_companies(p_now timestamptz, p_limit integer, p_companies text[]) RETURNS TABLE (company_id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT d.company_id FROM (
    SELECT c.company_id, c.milestone_due_at FROM public.customers c
    WHERE c.milestone_due_at <= p_now AND (p_companies IS NULL OR c.company_id = ANY (p_companies)) ORDER BY c.milestone_due_at LIMIT p_limit
  ) AS d GROUP BY d.company_id ORDER BY min(d.milestone_due_at)
$$;
