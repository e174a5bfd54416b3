-- Callers: churn_worker
-- What the customers who share an address with this one have come to: another text as soon as one of them moves on, joins
-- or leaves.
CREATE OR REPLACE FUNCTION person_mark(p_customer_id text) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT md5(coalesce(string_agg(s.customer_id || ' ' || s.version, ',' ORDER BY s.customer_id COLLATE "C"), ''))
    FROM customers_sharing(p_customer_id) AS s
$$;
