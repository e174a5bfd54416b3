-- Owner: churn_system
-- Callers: churn_worker
-- Customers whose addresses or names are not indexed with this version of the key, those never indexed first.
CREATE OR REPLACE FUNCTION contacts_to_index(p_version integer, p_limit integer)
RETURNS TABLE (company_id text, customer_id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT p.company_id, p.customer_id FROM public.customer_pii p
  WHERE least(coalesce(p.indexed_version, 0), coalesce(p.names_version, 0)) < p_version
  ORDER BY least(coalesce(p.indexed_version, 0), coalesce(p.names_version, 0)), p.company_id, p.customer_id LIMIT p_limit
$$;
