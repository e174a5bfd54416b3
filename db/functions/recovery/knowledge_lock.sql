-- Callers: churn_worker
-- The key of the advisory lock on what is known of a customer: shared for writers of facts,
-- exclusive for a writer of scores.
CREATE OR REPLACE FUNCTION knowledge_lock(p_customer_id text) RETURNS bigint LANGUAGE sql STABLE
  RETURN hashtextextended('knowledge|' || app_company() || '|' || p_customer_id, 0);
