-- Owner: churn_system
-- Callers: churn_worker
-- The next customers of `p_companies` (null: all) with paid access, or whose
-- last score shows that they had it, in the order of the primary keys.
CREATE OR REPLACE FUNCTION customers_to_score(p_after_company text, p_after_customer text, p_limit integer, p_companies text[])
RETURNS TABLE (company_id text, customer_id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT n.company_id, n.customer_id FROM (
    (
      SELECT s.company_id, s.customer_id FROM public.subscriptions s
      WHERE (s.company_id, s.customer_id) > (p_after_company COLLATE "C", p_after_customer COLLATE "C")
        AND s.status IN ('active', 'past_due')
        AND (p_companies IS NULL OR s.company_id = ANY (p_companies))
      GROUP BY s.company_id, s.customer_id ORDER BY s.company_id, s.customer_id LIMIT p_limit
    )
    UNION
    (
      SELECT s.company_id, s.customer_id FROM public.customer_scores s
      WHERE (s.company_id, s.customer_id) > (p_after_company COLLATE "C", p_after_customer COLLATE "C")
        AND s.not_scored IS DISTINCT FROM 'no_paid_access'
        AND (p_companies IS NULL OR s.company_id = ANY (p_companies))
      ORDER BY s.company_id, s.customer_id LIMIT p_limit
    )
  ) AS n ORDER BY n.company_id, n.customer_id LIMIT p_limit
$$;
