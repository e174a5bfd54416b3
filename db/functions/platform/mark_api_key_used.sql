-- Owner: churn_registry
-- Callers: churn_worker
-- Records that a key was used, unless a use after `p_since` is recorded already.
CREATE OR REPLACE FUNCTION mark_api_key_used(p_hash bytea, p_now timestamptz, p_since timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  UPDATE public.api_keys SET last_used_at = p_now
    WHERE hash = p_hash AND (last_used_at IS NULL OR last_used_at <= p_since)
$$;
