-- Owner: churn_system
-- Callers: churn_worker
-- The company of a delivery: the one in the path, else the one with the provider's account; no row: unknown. Like every
-- function of churn_system it reads all tenants, returns only ids, times and counts, and its owner can read no more.
CREATE OR REPLACE FUNCTION company_of(p_path text, p_provider text, p_account text)
RETURNS TABLE (company text, closed_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT c.id, c.closed_at FROM public.companies c
  WHERE c.id = CASE WHEN p_path IS NOT NULL THEN p_path
    ELSE (SELECT a.company_id FROM public.company_accounts a WHERE a.provider = p_provider AND a.account_id = p_account)
  END
$$;
