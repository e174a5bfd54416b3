-- Owner: churn_system
-- Callers: churn_worker
-- Who has one of these addresses, in any company: ids only.
CREATE OR REPLACE FUNCTION find_people(p_indexes text[]) RETURNS TABLE (company_id text, person_id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT DISTINCT a.company_id, a.person_id FROM public.person_addresses a JOIN public.companies c ON c.id = a.company_id
  WHERE a.address_index = ANY (p_indexes) AND c.closed_at IS NULL
  ORDER BY a.company_id, a.person_id
$$;
