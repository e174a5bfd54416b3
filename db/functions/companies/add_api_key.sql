-- Owner: churn_registry
-- Callers: churn_worker
-- Adds an API key of the company of this transaction, or an operator's outside of every company, and lets the key that
-- it replaces (`p_replaces`, may be null) expire at `p_replaced_until` at the latest. False when that key is not there
-- any more: then nothing is added.
CREATE OR REPLACE FUNCTION add_api_key(
  p_id text, p_name text, p_role text, p_hash bytea, p_prefix text, p_by text, p_now timestamptz, p_expires_at timestamptz,
  p_replaces text, p_replaced_until timestamptz
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  company text := nullif(public.app_company(), '');
BEGIN
  IF p_replaces IS NOT NULL THEN
    UPDATE public.api_keys SET expires_at = least(expires_at, p_replaced_until)
      WHERE company_id IS NOT DISTINCT FROM company AND id = p_replaces AND revoked_at IS NULL
        AND (expires_at IS NULL OR expires_at > p_now);
    IF NOT FOUND THEN RETURN false; END IF;
  END IF;
  INSERT INTO public.api_keys (company_id, id, name, role, hash, prefix, created_by, created_at, expires_at)
    VALUES (company, p_id, p_name, p_role, p_hash, p_prefix, p_by, p_now, p_expires_at);
  RETURN true;
END
$$;
