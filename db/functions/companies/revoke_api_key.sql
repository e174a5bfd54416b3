-- Owner: churn_registry
-- Callers: churn_worker
-- Revokes an API key of the company of this transaction, or an operator's outside of every company. False: there is none.
CREATE OR REPLACE FUNCTION revoke_api_key(p_id text, p_now timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  UPDATE public.api_keys SET revoked_at = coalesce(revoked_at, p_now)
    WHERE company_id IS NOT DISTINCT FROM nullif(public.app_company(), '') AND id = p_id;
  RETURN FOUND;
END
$$;
