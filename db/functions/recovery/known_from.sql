-- Callers: churn_worker
-- The earliest `known_at` of a fact that is written now: not before `p_at`, and after the time of
-- the customer's last score, which states what was known then. The caller holds the knowledge lock.
CREATE OR REPLACE FUNCTION known_from(p_customer_id text, p_at timestamptz) RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
  SELECT known_at FROM known_times(app_company(), ARRAY[p_customer_id], ARRAY[p_at])
$$;
