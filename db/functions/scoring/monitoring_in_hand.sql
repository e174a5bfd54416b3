-- Owner: churn_system
-- Callers: churn_worker
-- Model monitoring status for health checks, over all companies.
CREATE OR REPLACE FUNCTION monitoring_in_hand() RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT jsonb_build_object(
    'openAlarms', (SELECT count(*) FROM public.model_alarms WHERE closed_at IS NULL),
    'mainAlarms', (SELECT count(*) FROM public.model_alarms WHERE closed_at IS NULL AND measure IN ('churn_above', 'churn_below')),
    'proposals', (SELECT count(*) FROM public.model_retrainings WHERE verdict = 'propose'),
    'lastCheckAt', (SELECT max(checked_at) FROM public.monitoring_positions),
    'lastRetrainingAt', (SELECT max(started_at) FROM public.model_retrainings)
  )
$$;
