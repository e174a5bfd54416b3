-- Callers: churn_worker
-- What writers of a customer's facts hold in common, and whoever writes down what was known of the customer alone.
CREATE OR REPLACE FUNCTION knowledge_lock(p_customer_id text) RETURNS bigint LANGUAGE sql STABLE
  RETURN hashtextextended('knowledge|' || app_company() || '|' || p_customer_id, 0);
