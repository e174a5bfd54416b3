-- Owner: churn_system
-- Callers: churn_worker
-- The owner of an API key, without a company for an operator's; no row when it is unknown or revoked.
CREATE OR REPLACE FUNCTION find_api_key(p_hash bytea)
RETURNS TABLE (company_id text, id text, role text, expires_at timestamptz, closed_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT k.company_id, k.id, k.role, k.expires_at, c.closed_at
  FROM public.api_keys k LEFT JOIN public.companies c ON c.id = k.company_id
  WHERE k.hash = p_hash AND k.revoked_at IS NULL
$$;
