-- Callers: churn_worker
-- The earliest `known_at` of a fact that is written now: not before `p_at`, and after the time of
-- the customer's last score, which states what was known then. The caller holds the knowledge lock.
CREATE OR REPLACE FUNCTION known_from(p_customer_id text, p_at timestamptz) RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
  SELECT greatest(p_at, (
    SELECT s.as_of + interval '1 millisecond' FROM customer_scores s
    WHERE s.company_id = app_company() AND s.customer_id = p_customer_id
  ))
$$;
