-- Callers: churn_worker
-- Our id of a delivery's customer: the one it names, else the one its objects are linked to; null while it is unknown.
CREATE OR REPLACE FUNCTION customer_named_by(p jsonb) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT (p ->> 'provider') || '_' || coalesce(p ->> 'customer', (
    SELECT l.root_id FROM object_links l
    WHERE l.company_id = app_company() AND l.provider = p ->> 'provider' AND l.is_customer
      AND l.object_id IN (SELECT jsonb_array_elements_text(p -> 'objects'))
    ORDER BY l.root_id LIMIT 1
  ))
$$;
