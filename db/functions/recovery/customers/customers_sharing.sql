-- Callers: churn_worker
-- The other customers of the company that share an address with this one, with their versions.
CREATE OR REPLACE FUNCTION customers_sharing(p_customer_id text) RETURNS TABLE (customer_id text, version integer)
LANGUAGE sql STABLE AS $$
  SELECT DISTINCT c.id, c.version
    FROM customer_addresses own
    JOIN customer_addresses shared
      ON shared.company_id = own.company_id AND shared.kind = own.kind AND shared.address = own.address
    JOIN customers c ON c.company_id = shared.company_id AND c.id = shared.customer_id
    WHERE own.company_id = app_company() AND own.customer_id = p_customer_id AND shared.customer_id <> p_customer_id
$$;
