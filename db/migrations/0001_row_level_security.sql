-- Tenants are kept apart by the database itself. `churn_worker` is the role of the Worker: it owns nothing, so it cannot
-- switch row-level security off, and it has no BYPASSRLS. `churn_system` owns the few functions that must look across
-- tenants (what is due, whose account is this); nobody can log in as it.
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'churn_worker') THEN
    CREATE ROLE churn_worker NOLOGIN NOBYPASSRLS;
  END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'churn_system') THEN
    CREATE ROLE churn_system NOLOGIN NOBYPASSRLS;
  END IF;
END
$$;
--> statement-breakpoint
-- The company of this transaction; empty when none was set, and then no row is visible.
CREATE FUNCTION app_company() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
  RETURN current_setting('app.company_id', true);
--> statement-breakpoint
GRANT USAGE ON SCHEMA public TO churn_worker, churn_system;
--> statement-breakpoint
DO $$
DECLARE
  tenant_table text;
BEGIN
  FOREACH tenant_table IN ARRAY ARRAY[
    'company_accounts', 'webhook_secrets', 'company_settings', 'api_keys', 'webhook_event_keys', 'webhook_events', 'facts',
    'object_links', 'customers', 'customer_keys', 'customer_pii', 'subscriptions', 'payments', 'recovery_cases', 'nudges',
    'consents', 'incentives'
  ] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
    EXECUTE format(
      'CREATE POLICY tenant ON %I TO churn_worker USING (company_id = app_company()) WITH CHECK (company_id = app_company())',
      tenant_table
    );
    EXECUTE format('GRANT SELECT, INSERT, UPDATE ON %I TO churn_worker', tenant_table);
  END LOOP;
END
$$;
--> statement-breakpoint
ALTER TABLE companies ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE companies FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
CREATE POLICY tenant ON companies TO churn_worker USING (id = app_company()) WITH CHECK (id = app_company());
--> statement-breakpoint
GRANT SELECT ON companies TO churn_worker;
--> statement-breakpoint
-- Projections are replaced as a whole when a late fact changes them.
GRANT DELETE ON recovery_cases, subscriptions, payments TO churn_worker;
--> statement-breakpoint
-- The ledger is only ever appended to.
REVOKE UPDATE ON facts, webhook_event_keys FROM churn_worker;
--> statement-breakpoint
GRANT SELECT, INSERT, DELETE ON job_runs TO churn_worker;
--> statement-breakpoint
-- What the functions of churn_system may see: ids, times and states; no payload, no address, no name.
CREATE POLICY system ON companies FOR SELECT TO churn_system USING (true);
--> statement-breakpoint
CREATE POLICY system ON company_accounts FOR SELECT TO churn_system USING (true);
--> statement-breakpoint
CREATE POLICY system ON api_keys FOR SELECT TO churn_system USING (true);
--> statement-breakpoint
CREATE POLICY system ON webhook_events FOR SELECT TO churn_system USING (true);
--> statement-breakpoint
CREATE POLICY system ON nudges FOR SELECT TO churn_system USING (true);
--> statement-breakpoint
CREATE POLICY system_lease ON nudges FOR UPDATE TO churn_system USING (true) WITH CHECK (true);
--> statement-breakpoint
CREATE POLICY system ON object_links FOR SELECT TO churn_system USING (true);
--> statement-breakpoint
GRANT SELECT (id) ON companies TO churn_system;
--> statement-breakpoint
GRANT SELECT ON company_accounts, api_keys, object_links TO churn_system;
--> statement-breakpoint
GRANT SELECT (company_id, id, status, attempts, received_at, processed_at, next_attempt_at) ON webhook_events TO churn_system;
--> statement-breakpoint
GRANT SELECT (company_id, id, customer_id, status, due_at, sent_at, lease_owner, lease_until) ON nudges TO churn_system;
--> statement-breakpoint
GRANT UPDATE (lease_owner, lease_until) ON nudges TO churn_system;
