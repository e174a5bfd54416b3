-- Callers: churn_worker, churn_system, churn_registry
-- The company of this transaction; null when none is set, and then no row is visible.
CREATE OR REPLACE FUNCTION app_company() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
  RETURN current_setting('app.company_id', true);
