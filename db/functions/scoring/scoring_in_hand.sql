-- Owner: churn_system
-- Callers: churn_worker
-- Scoring status for health checks, over all companies: champions, those that were refused to serve, the version of the
-- shared model, and the latest nightly scoring.
CREATE OR REPLACE FUNCTION scoring_in_hand(p_pin text) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT jsonb_build_object(
    'champions', (SELECT count(*) FROM public.models WHERE state = 'champion'),
    'refused', (SELECT count(*) FROM public.models WHERE state = 'champion' AND refused_at IS NOT NULL),
    'shared', (SELECT max(version) FROM public.models WHERE state = 'champion' AND company_id = '*'),
    'isPinThere', p_pin IS NULL OR EXISTS (SELECT FROM public.models WHERE p_pin IN (version, sha256)),
    'pass', (SELECT to_jsonb(r) - 'after_company' - 'after_customer' FROM public.rescore_passes r ORDER BY night DESC LIMIT 1)
  )
$$;
