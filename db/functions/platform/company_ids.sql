-- Owner: churn_system
-- Callers: churn_worker
-- All companies, for evaluating which of them a switch is on for.
CREATE OR REPLACE FUNCTION company_ids() RETURNS TABLE (id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT c.id FROM public.companies c
$$;
