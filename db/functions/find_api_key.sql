-- Owner: churn_system
-- Callers: churn_worker
-- The owner of an API key; no row when it is unknown or revoked.
CREATE OR REPLACE FUNCTION find_api_key(p_hash bytea) RETURNS TABLE (company_id text, id text, role text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT k.company_id, k.id, k.role FROM public.api_keys k WHERE k.hash = p_hash AND k.revoked_at IS NULL
$$;
