-- Callers: churn_worker
-- The first moment at which a fact that is written down now can have been known of a customer: not before `p_at`, and after
-- the last moment of which it was written down what was known. The caller holds the lock.
CREATE OR REPLACE FUNCTION known_from(p_customer_id text, p_at timestamptz) RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
  SELECT greatest(p_at, (
    SELECT s.as_of + interval '1 millisecond' FROM customer_scores s
    WHERE s.company_id = app_company() AND s.customer_id = p_customer_id
  ))
$$;
