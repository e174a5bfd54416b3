-- Callers: churn_worker
-- A hash of the customers that share an address with this one and their versions: it changes when
-- one of them changes, joins or leaves.
CREATE OR REPLACE FUNCTION person_mark(p_customer_id text) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT md5(coalesce(string_agg(s.customer_id || ' ' || s.version, ',' ORDER BY s.customer_id COLLATE "C"), ''))
    FROM customers_sharing(p_customer_id) AS s
$$;
