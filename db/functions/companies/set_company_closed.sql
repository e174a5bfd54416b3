-- Owner: churn_registry
-- Callers: churn_worker
-- Closes a company at `p_closed_at`, or opens it (null). A closed company keeps its first time. Returns the ids of all
-- companies that are closed now; null when there is no such company. The row's lock serialises changes of one company;
-- the lock below those of several, so that the list of the last caller is complete.
CREATE OR REPLACE FUNCTION set_company_closed(p_id text, p_closed_at timestamptz, p_by text) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('companies_closed', 0));
  UPDATE public.companies SET
    closed_at = CASE WHEN p_closed_at IS NULL THEN NULL ELSE coalesce(closed_at, p_closed_at) END,
    closed_by = CASE WHEN p_closed_at IS NULL THEN NULL ELSE coalesce(closed_by, p_by) END
    WHERE id = p_id;
  IF NOT FOUND THEN RETURN NULL; END IF;
  RETURN (SELECT coalesce(jsonb_agg(c.id ORDER BY c.id), '[]') FROM public.companies c WHERE c.closed_at IS NOT NULL);
END
$$;
